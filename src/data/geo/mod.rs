//! Places on Earth as scores of sorted sets, and searching them, with the numbers that Redis comes to.
//!
//! A score is a cell of 52 bits ([`cell`]): latitude and longitude halved 26 times each, bit by bit in turn, so that
//! places in one cell of any size are one range of scores. A search looks at the ranges of the cells that cover its
//! area ([`area`]), and at each place in them. The Earth is a ball, and latitudes end where Mercator's maps do.
//!
//! Floats are computed in Redis's order of operations: which places are inside, and the digits of distances, agree.

pub(crate) mod area;
pub(crate) mod cell;

use cell::{Cell, STEPS_MAX};

const LONGITUDE_MAX: f64 = 180.0;
const LATITUDE_MAX: f64 = 85.051_128_78;
const EARTH_RADIUS_M: f64 = 6_372_797.560856;
const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) longitude: f64,
    pub(crate) latitude: f64,
}

impl Point {
    /// None if that is off the map.
    pub(crate) fn new(longitude: f64, latitude: f64) -> Option<Point> {
        let is_on_map = longitude.abs() <= LONGITUDE_MAX && latitude.abs() <= LATITUDE_MAX;
        is_on_map.then_some(Point {
            longitude,
            latitude,
        })
    }

    /// The middle of the cell that a score names, whatever the score is.
    #[inline]
    pub(crate) fn of_score(score: f64) -> Point {
        let bounds = Cell::of_score(score).bounds();
        let middle = |(min, max): (f64, f64), most: f64| ((min + max) / 2.0).clamp(-most, most);
        Point {
            longitude: middle(bounds.longitude, LONGITUDE_MAX),
            latitude: middle(bounds.latitude, LATITUDE_MAX),
        }
    }

    /// The score of its smallest cell.
    pub(crate) fn score(self) -> u64 {
        Cell::of(self, STEPS_MAX).bits()
    }

    /// The standard geohash, which has the poles on its map; of its 11 letters the last has no bits left.
    pub(crate) fn geohash(self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = cell::interleave(
            cell::fraction(self.latitude, 90.0, STEPS_MAX),
            cell::fraction(self.longitude, LONGITUDE_MAX, STEPS_MAX),
        );
        let mut text = [b'0'; 11];
        for (index, letter) in text[..10].iter_mut().enumerate() {
            let five = bits >> (2 * STEPS_MAX as usize - 5 * (index + 1)) & 0x1f;
            *letter = LETTERS[five as usize];
        }
        text
    }

    /// Along the great circle, by the haversine formula, metres.
    #[inline]
    pub(crate) fn distance_m(self, other: Point) -> f64 {
        let longitudes = other.longitude * RADIANS - self.longitude * RADIANS;
        let east = (longitudes / 2.0).sin();
        if east == 0.0 {
            return latitude_distance_m(self.latitude, other.latitude);
        }
        let (from, to) = (self.latitude * RADIANS, other.latitude * RADIANS);
        let north = ((to - from) / 2.0).sin();
        let haversine = north * north + from.cos() * to.cos() * east * east;
        2.0 * EARTH_RADIUS_M * haversine.sqrt().asin()
    }
}

/// Along a meridian, metres.
fn latitude_distance_m(from: f64, to: f64) -> f64 {
    EARTH_RADIUS_M * (to * RADIANS - from * RADIANS).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(longitude: f64, latitude: f64) -> Point {
        Point::new(longitude, latitude).expect("on the map")
    }

    #[test]
    fn scores_are_those_of_redis() {
        // As ZSCORE gave them after GEOADD at a redis-server.
        for (longitude, latitude, score, geohash) in [
            (13.361389, 38.115556, 3_479_099_956_230_698, "sqc8b49rny0"),
            (15.087269, 37.502669, 3_479_447_370_796_909, "sqdtr74hyu0"),
            (-122.27652, 37.805186, 1_367_952_638_197_536, "9q9p1d0znt0"),
            (0.0, 0.0, 3_377_699_720_527_872, "s0000000000"),
        ] {
            let place = point(longitude, latitude);
            assert_eq!(place.score(), score);
            let geohash_of = Point::of_score(score as f64).geohash();
            assert_eq!(geohash_of.escape_ascii().to_string(), geohash);
        }
        assert!(Point::new(180.1, 0.0).is_none() && Point::new(0.0, -85.06).is_none());
    }

    #[test]
    fn a_score_is_near_its_place() {
        let mut rng = fastrand::Rng::with_seed(8);
        for _ in 0..10_000 {
            let place = point(360.0 * rng.f64() - 180.0, 170.0 * rng.f64() - 85.0);
            let back = Point::of_score(place.score() as f64);
            assert!(place.distance_m(back) < 0.6, "{place:?} {back:?}");
            assert_eq!(back.score(), place.score());
        }
        // What no GEOADD has made is some place all the same.
        for score in [-1.0, 0.5, f64::INFINITY, f64::NEG_INFINITY, 1e19, 1e300] {
            let place = Point::of_score(score);
            assert!(Point::new(place.longitude, place.latitude).is_some());
        }
    }

    #[test]
    fn distances() {
        let (palermo, catania) = (point(13.361389, 38.115556), point(15.087269, 37.502669));
        let metres = palermo.distance_m(catania);
        assert!((metres - 166_274.0).abs() < 1.0, "{metres}");
        assert_eq!(palermo.distance_m(palermo), 0.0);
        let along = point(5.0, 10.0).distance_m(point(5.0, 11.0));
        assert!((along - 111_226.3).abs() < 0.1, "{along}");
    }
}
