//! Geo commands: sorted sets whose scores are places ([`crate::data::geo`]). Adding, and what members say of
//! themselves; searching is in its own files.

mod query;
mod search;
#[cfg(test)]
mod tests;

use crate::command::context::arguments::double_arg;
use crate::command::zset::add::add;
use crate::command::zset::zset_and_reply;
use crate::command::{Context, Handlers};
use crate::data::Zset;
use crate::data::geo::Point;
use crate::resp::Reply;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::fixed::{four_decimals, up_to_17_decimals};
use crate::text::is_word;
use query::Syntax;

pub(crate) const HANDLERS: Handlers = &[
    ("geoadd", geoadd),
    ("geodist", geodist),
    ("geohash", geohash),
    ("geopos", geopos),
    ("georadius", |ctx, args| {
        search::search(ctx, args, Syntax::RADIUS)
    }),
    ("georadius_ro", |ctx, args| {
        search::search(ctx, args, Syntax::RADIUS_RO)
    }),
    ("georadiusbymember", |ctx, args| {
        search::search(ctx, args, Syntax::RADIUS_BY_MEMBER)
    }),
    ("georadiusbymember_ro", |ctx, args| {
        search::search(ctx, args, Syntax::RADIUS_BY_MEMBER_RO)
    }),
    ("geosearch", |ctx, args| {
        search::search(ctx, args, Syntax::SEARCH)
    }),
    ("geosearchstore", |ctx, args| {
        search::search(ctx, args, Syntax::SEARCH_STORE)
    }),
];

/// A longitude and a latitude.
fn point_arg(longitude: &[u8], latitude: &[u8]) -> CommandResult<Point> {
    let (longitude, latitude) = (double_arg(longitude)?, double_arg(latitude)?);
    Point::new(longitude, latitude).ok_or_else(|| {
        CommandError::err(format_args!(
            "invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        ))
    })
}

/// Metres in a unit.
fn unit_arg(arg: &[u8]) -> CommandResult<f64> {
    match arg {
        w if is_word(w, "m") => Ok(1.0),
        w if is_word(w, "km") => Ok(1000.0),
        w if is_word(w, "ft") => Ok(0.3048),
        w if is_word(w, "mi") => Ok(1609.34),
        _ => Err(CommandError::fixed(
            "ERR unsupported unit provided. please use M, KM, FT, MI",
        )),
    }
}

/// Where a member is.
fn place_of(zset: Option<&Zset>, member: &[u8]) -> Option<Point> {
    Some(Point::of_score(zset?.score(member)?))
}

fn put_point(reply: &mut Reply, point: Point) {
    reply.array(2);
    for degrees in [point.longitude, point.latitude] {
        let text = up_to_17_decimals(degrees);
        if reply.is_resp3() {
            reply.raw(b",");
            reply.raw(text.as_bytes());
            reply.raw(b"\r\n");
        } else {
            reply.bulk(text.as_bytes());
        }
    }
}

fn put_distance(reply: &mut Reply, distance: f64) {
    reply.bulk(four_decimals(distance).as_bytes());
}

/// Adds as the ZADD that it is, which is also what replicas are told.
fn geoadd(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let is_option = |arg: &&&[u8]| ["nx", "xx", "ch"].iter().any(|word| is_word(arg, word));
    let options = args[2..].iter().take_while(is_option).count();
    let (options, places) = args[2..].split_at(options);
    let has = |word| options.iter().any(|option| is_word(option, word));
    if !places.len().is_multiple_of(3) || (has("nx") && has("xx")) {
        return Err(CommandError::SYNTAX);
    }
    let mut scores = Vec::with_capacity(places.len() / 3);
    for place in places.chunks_exact(3) {
        let score = point_arg(place[0], place[1])?.score();
        scores.push(itoa::Buffer::new().format(score).to_owned());
    }
    let mut zadd: Vec<&[u8]> = Vec::with_capacity(args.len());
    zadd.extend([&b"zadd"[..], args[1]]);
    zadd.extend(options);
    for (place, score) in places.chunks_exact(3).zip(&scores) {
        zadd.extend([score.as_bytes(), place[2]]);
    }
    add(ctx, &zadd, false)?;
    if ctx.dirty > 0 {
        ctx.effects.replace(&zadd);
    }
    Ok(())
}

fn geodist(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let unit_m = match args {
        [_, _, _, _] => 1.0,
        [_, _, _, _, unit] => unit_arg(unit)?,
        _ => return Err(CommandError::SYNTAX),
    };
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    match (place_of(zset, args[2]), place_of(zset, args[3])) {
        (Some(from), Some(to)) => put_distance(reply, from.distance_m(to) / unit_m),
        _ => reply.null(),
    }
    Ok(())
}

fn geohash(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    reply.array(args.len() - 2);
    for member in &args[2..] {
        match place_of(zset, member) {
            Some(place) => reply.bulk(&place.geohash()),
            None => reply.null(),
        }
    }
    Ok(())
}

fn geopos(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let (zset, reply) = zset_and_reply(ctx, args[1])?;
    reply.array(args.len() - 2);
    for member in &args[2..] {
        match place_of(zset, member) {
            Some(place) => put_point(reply, place),
            None => reply.null_array(),
        }
    }
    Ok(())
}
