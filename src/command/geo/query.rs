//! What a search asks for: the arguments of GEORADIUS, GEORADIUSBYMEMBER, GEOSEARCH and their kin.

use super::{place_of, point_arg, unit_arg};
use crate::command::context::arguments::double_arg;
use crate::command::context::int_arg;
use crate::data::Zset;
use crate::data::geo::Point;
use crate::data::geo::area::{Area, Shape};
use crate::resp::reply::error_text;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// Where a command has what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    center: Center,
    /// STORE and STOREDIST name a key.
    may_store: bool,
    /// The result goes to the first key.
    stores: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Center {
    /// Longitude, latitude, radius and unit follow the key.
    Place,
    /// So do a member, radius and unit.
    Member,
    /// FROMLONLAT or FROMMEMBER, BYRADIUS or BYBOX.
    Options,
}

impl Syntax {
    pub(super) const RADIUS: Syntax = Syntax::new(Center::Place, true, false);
    pub(super) const RADIUS_RO: Syntax = Syntax::new(Center::Place, false, false);
    pub(super) const RADIUS_BY_MEMBER: Syntax = Syntax::new(Center::Member, true, false);
    pub(super) const RADIUS_BY_MEMBER_RO: Syntax = Syntax::new(Center::Member, false, false);
    pub(super) const SEARCH: Syntax = Syntax::new(Center::Options, false, false);
    pub(super) const SEARCH_STORE: Syntax = Syntax::new(Center::Options, false, true);

    const fn new(center: Center, may_store: bool, stores: bool) -> Syntax {
        Syntax {
            center,
            may_store,
            stores,
        }
    }

    /// Which argument is the key that is searched.
    pub(super) fn source(self) -> usize {
        if self.stores { 2 } else { 1 }
    }

    /// The event of a stored result.
    pub(super) fn store_event(self) -> &'static str {
        match self.center {
            Center::Options => "geosearchstore",
            Center::Place | Center::Member => "georadiusstore",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Nearest,
    Farthest,
}

/// A search.
#[derive(Debug)]
pub(super) struct Query<'a> {
    /// None: the key or the member is absent, and with it all places.
    pub(super) area: Option<Area>,
    pub(super) unit_m: f64,
    pub(super) with_distance: bool,
    pub(super) with_score: bool,
    pub(super) with_place: bool,
    pub(super) order: Option<Order>,
    /// How many places at most.
    pub(super) count: Option<usize>,
    /// The first that are found will do.
    pub(super) any: bool,
    /// The key that takes the result.
    pub(super) store: Option<&'a [u8]>,
    /// Its scores are distances.
    pub(super) store_distances: bool,
}

/// What the arguments have said so far.
#[derive(Default)]
struct Parser<'a> {
    center: Option<Point>,
    /// FROMMEMBER was said, or FROMLONLAT.
    from_member: bool,
    from_place: bool,
    shape: Option<(Shape, f64)>,
    with_distance: bool,
    with_score: bool,
    with_place: bool,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    store: Option<&'a [u8]>,
    store_distances: bool,
}

const NO_SUCH_PLACE: CommandError =
    CommandError::fixed("ERR could not decode requested zset member");

/// A number of at least 0.
fn length_arg(arg: &[u8], no_number: &'static str, negative: &'static str) -> CommandResult<f64> {
    let length = double_arg(arg).map_err(|_| CommandError::fixed(no_number))?;
    if length < 0.0 {
        return Err(CommandError::fixed(negative));
    }
    Ok(length)
}

fn circle_arg(radius: &[u8], unit: &[u8]) -> CommandResult<(Shape, f64)> {
    let radius = length_arg(
        radius,
        "ERR need numeric radius",
        "ERR radius cannot be negative",
    )?;
    Ok((Shape::Circle { radius }, unit_arg(unit)?))
}

fn box_arg(width: &[u8], height: &[u8], unit: &[u8]) -> CommandResult<(Shape, f64)> {
    // Both must be numbers before either is found to be negative.
    for (arg, error) in [
        (width, "ERR need numeric width"),
        (height, "ERR need numeric height"),
    ] {
        double_arg(arg).map_err(|_| CommandError::fixed(error))?;
    }
    const NEGATIVE: &str = "ERR height or width cannot be negative";
    let width = length_arg(width, NEGATIVE, NEGATIVE)?;
    let height = length_arg(height, NEGATIVE, NEGATIVE)?;
    Ok((Shape::Box { width, height }, unit_arg(unit)?))
}

impl<'a> Query<'a> {
    /// Reads the arguments. `zset`: what is searched, where a member may be the centre; None: the key is absent, and
    /// the arguments are looked at all the same.
    pub(super) fn parse(
        syntax: Syntax,
        args: &Args<'a>,
        zset: Option<&Zset>,
    ) -> CommandResult<Query<'a>> {
        let mut parser = Parser::default();
        let mut rest = parser.take_center(syntax, args, zset)?;
        while let [word, tail @ ..] = rest {
            rest = if parser.take_flag(word) {
                tail
            } else {
                let taken = match syntax.center {
                    Center::Options => parser.take_area(word, tail, zset)?,
                    Center::Place | Center::Member => None,
                };
                match taken {
                    Some(rest) => rest,
                    None => parser.take_option(syntax, word, tail)?,
                }
            };
        }
        if syntax.stores {
            parser.store = Some(args[1]);
        }
        parser.check(syntax, args[0])?;
        Ok(parser.finish())
    }
}

impl<'a> Parser<'a> {
    /// Takes what stands before the options; gives what follows.
    fn take_center<'b>(
        &mut self,
        syntax: Syntax,
        args: &'b Args<'a>,
        zset: Option<&Zset>,
    ) -> CommandResult<&'b [&'a [u8]]> {
        match syntax.center {
            Center::Place => {
                self.center = Some(point_arg(args[2], args[3])?);
                self.shape = Some(circle_arg(args[4], args[5])?);
                Ok(&args[6..])
            }
            Center::Member => {
                if zset.is_some() {
                    self.center = Some(place_of(zset, args[2]).ok_or(NO_SUCH_PLACE)?);
                    self.shape = Some(circle_arg(args[3], args[4])?);
                }
                Ok(&args[5..])
            }
            Center::Options => Ok(&args[syntax.source() + 1..]),
        }
    }

    /// Takes a word that stands alone, for any command.
    fn take_flag(&mut self, word: &[u8]) -> bool {
        match word {
            w if is_word(w, "withdist") => self.with_distance = true,
            w if is_word(w, "withhash") => self.with_score = true,
            w if is_word(w, "withcoord") => self.with_place = true,
            w if is_word(w, "any") => self.any = true,
            w if is_word(w, "asc") => self.order = Some(Order::Nearest),
            w if is_word(w, "desc") => self.order = Some(Order::Farthest),
            _ => return false,
        }
        true
    }

    /// Takes a part of GEOSEARCH's area; None: the word is none.
    fn take_area<'b>(
        &mut self,
        word: &[u8],
        tail: &'b [&'a [u8]],
        zset: Option<&Zset>,
    ) -> CommandResult<Option<&'b [&'a [u8]]>> {
        let has_box = matches!(self.shape, Some((Shape::Box { .. }, _)));
        let has_circle = matches!(self.shape, Some((Shape::Circle { .. }, _)));
        match tail {
            [member, tail @ ..] if is_word(word, "frommember") && !self.from_place => {
                if zset.is_some() {
                    self.center = Some(place_of(zset, member).ok_or(NO_SUCH_PLACE)?);
                }
                self.from_member = true;
                Ok(Some(tail))
            }
            [x, y, tail @ ..] if is_word(word, "fromlonlat") && !self.from_member => {
                self.center = Some(point_arg(x, y)?);
                self.from_place = true;
                Ok(Some(tail))
            }
            [radius, unit, tail @ ..] if is_word(word, "byradius") && !has_box => {
                self.shape = Some(circle_arg(radius, unit)?);
                Ok(Some(tail))
            }
            [width, height, unit, tail @ ..] if is_word(word, "bybox") && !has_circle => {
                self.shape = Some(box_arg(width, height, unit)?);
                Ok(Some(tail))
            }
            _ => Ok(None),
        }
    }

    fn take_option<'b>(
        &mut self,
        syntax: Syntax,
        word: &[u8],
        tail: &'b [&'a [u8]],
    ) -> CommandResult<&'b [&'a [u8]]> {
        match tail {
            [count, tail @ ..] if is_word(word, "count") => {
                let count = int_arg(count)?;
                if count <= 0 {
                    return Err(CommandError::fixed("ERR COUNT must be > 0"));
                }
                self.count = Some(count as usize);
                Ok(tail)
            }
            _ if syntax.stores && is_word(word, "storedist") => {
                self.store_distances = true;
                Ok(tail)
            }
            [key, tail @ ..] if syntax.may_store && is_word(word, "store") => {
                (self.store, self.store_distances) = (Some(*key), false);
                Ok(tail)
            }
            [key, tail @ ..] if syntax.may_store && is_word(word, "storedist") => {
                (self.store, self.store_distances) = (Some(*key), true);
                Ok(tail)
            }
            _ => Err(CommandError::SYNTAX),
        }
    }

    /// What goes together, and what is missing.
    fn check(&self, syntax: Syntax, name: &[u8]) -> CommandResult {
        let shows = self.with_distance || self.with_score || self.with_place;
        if self.store.is_some() && shows {
            return Err(CommandError::fixed(if syntax.stores {
                "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            } else {
                "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            }));
        }
        if syntax.center == Center::Options {
            if !self.from_member && !self.from_place {
                return Err(CommandError::err(format_args!(
                    "exactly one of FROMMEMBER or FROMLONLAT can be specified for {}",
                    error_text(name)
                )));
            }
            if self.shape.is_none() {
                return Err(CommandError::err(format_args!(
                    "exactly one of BYRADIUS and BYBOX can be specified for {}",
                    error_text(name)
                )));
            }
        }
        if self.any && self.count.is_none() {
            return Err(CommandError::fixed(
                "ERR the ANY argument requires COUNT argument",
            ));
        }
        Ok(())
    }

    fn finish(self) -> Query<'a> {
        let area = (self.center.zip(self.shape))
            .map(|(center, (shape, unit_m))| Area::new(center, shape, unit_m));
        // The nearest are meant where only so many are wanted.
        let order = match self.count {
            Some(_) if !self.any => self.order.or(Some(Order::Nearest)),
            _ => self.order,
        };
        Query {
            area,
            unit_m: self.shape.map_or(1.0, |(_, unit_m)| unit_m),
            with_distance: self.with_distance,
            with_score: self.with_score,
            with_place: self.with_place,
            order,
            count: self.count,
            any: self.any,
            store: self.store,
            store_distances: self.store_distances,
        }
    }
}
