//! GEOSEARCH, GEORADIUS and their kin: a query run over a sorted set, its result replied or stored.

use super::query::{Order, Query, Syntax};
use super::{put_distance, put_point, zset_and_reply};
use crate::command::Context;
use crate::command::context::EventClass;
use crate::data::geo::Point;
use crate::data::list::Item;
use crate::data::zset_range::{ScoreBound, ScoreRange};
use crate::data::{Encodings, Value, Zset};
use crate::keyspace::Expiry;
use crate::resp::Reply;
use crate::table::{Args, CommandResult};

/// A member inside the area.
struct Hit<'z> {
    member: Item<'z>,
    score: f64,
    place: Point,
    /// Metres from the centre.
    distance_m: f64,
}

pub(super) fn search(ctx: &mut Context<'_>, args: &Args<'_>, syntax: Syntax) -> CommandResult {
    let enc = ctx.encodings();
    let (zset, reply) = zset_and_reply(ctx, args[syntax.source()])?;
    let query = Query::parse(syntax, args, zset)?;
    let hits = match zset {
        Some(zset) => hits(&query, zset),
        None => Vec::new(),
    };
    match query.store {
        None => put_hits(reply, &query, &hits),
        Some(key) => {
            let found = to_zset(&query, &hits, &enc);
            store(ctx, key, found, syntax.store_event());
        }
    }
    Ok(())
}

/// The members inside, in the order asked for, as many as are wanted.
fn hits<'z>(query: &Query<'_>, zset: &'z Zset) -> Vec<Hit<'z>> {
    let mut hits = Vec::new();
    let Some(area) = &query.area else {
        return hits;
    };
    let enough = query.count.filter(|_| query.any).unwrap_or(usize::MAX);
    for cell in area.cells() {
        if hits.len() >= enough {
            break;
        }
        let scores = cell.scores();
        let bound = |score, exclusive| ScoreBound { score, exclusive };
        let span = zset.rank_span_by_score(&ScoreRange {
            min: bound(scores.start, false),
            max: bound(scores.end, true),
        });
        let inside = zset.range(span, false).filter_map(|(member, score)| {
            let place = Point::of_score(score);
            let distance_m = area.distance_within(place)?;
            Some(Hit {
                member,
                score,
                place,
                distance_m,
            })
        });
        hits.extend(inside.take(enough - hits.len()));
    }
    match query.order {
        None => {}
        Some(Order::Nearest) => hits.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m)),
        Some(Order::Farthest) => hits.sort_by(|a, b| b.distance_m.total_cmp(&a.distance_m)),
    }
    hits.truncate(query.count.unwrap_or(usize::MAX));
    hits
}

fn put_hits(reply: &mut Reply, query: &Query<'_>, hits: &[Hit<'_>]) {
    let shown = [query.with_distance, query.with_score, query.with_place];
    let shown = shown.iter().filter(|with| **with).count();
    reply.array(hits.len());
    for hit in hits {
        if shown > 0 {
            reply.array(1 + shown);
        }
        match hit.member {
            Item::Int(n) => reply.bulk_int(n),
            Item::Bytes(bytes) => reply.bulk(bytes),
        }
        if query.with_distance {
            put_distance(reply, hit.distance_m / query.unit_m);
        }
        if query.with_score {
            reply.int(hit.score as i64);
        }
        if query.with_place {
            put_point(reply, hit.place);
        }
    }
}

fn to_zset(query: &Query<'_>, hits: &[Hit<'_>], enc: &Encodings) -> Zset {
    let mut found = Zset::default();
    found.expect(hits.len(), enc);
    for hit in hits {
        let score = match query.store_distances {
            true => hit.distance_m / query.unit_m,
            false => hit.score,
        };
        hit.member.with(|member| found.insert(member, score, enc));
    }
    found
}

/// Puts the result at a key, or deletes the key if there is none, and replies with its size.
fn store(ctx: &mut Context<'_>, key: &[u8], found: Zset, event: &'static str) {
    let len = found.len();
    if len > 0 {
        // One that has expired goes first, and its effect before ours.
        ctx.present(key);
        ctx.set_value(key, Value::Zset(found), Expiry::Clear);
        ctx.touch(key);
        ctx.notify(EventClass::Zset, event, key);
        ctx.dirty += len as u64;
    } else if ctx.delete(key) {
        ctx.changed(key, EventClass::Generic, "del");
    }
    ctx.reply.int(len as i64);
}
