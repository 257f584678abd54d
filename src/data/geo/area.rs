//! Areas to search: a circle, or a box whose sides are measured along the meridian and the parallel of each place.

use smallvec::SmallVec;

use super::cell::{Bounds, Cell, STEPS_MAX};
use super::{EARTH_RADIUS_M, Point, RADIANS, latitude_distance_m};

/// Half of the equator's length on Mercator's map, metres.
const MERCATOR_MAX_M: f64 = 20_037_726.37;

/// An area's form; lengths in the unit that they were given in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

/// An area.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    center: Point,
    shape: Shape,
    /// Metres in a unit.
    unit_m: f64,
    outline: Outline,
}

/// A cheap test that no place inside fails: how far it may be away, degrees.
#[derive(Clone, Copy, Debug)]
struct Outline {
    latitude: f64,
    longitude: f64,
}

impl Area {
    pub(crate) fn new(center: Point, shape: Shape, unit_m: f64) -> Area {
        let (east, north) = half_sides(shape);
        Area {
            center,
            shape,
            unit_m,
            outline: Outline::new(center, unit_m * east, unit_m * north),
        }
    }

    /// How far a place is from the centre, metres; None: it is outside.
    #[inline]
    pub(crate) fn distance_within(&self, place: Point) -> Option<f64> {
        if !self.outline.may_hold(self.center, place) {
            return None;
        }
        match self.shape {
            Shape::Circle { radius } => {
                let distance = self.center.distance_m(place);
                (distance <= radius * self.unit_m).then_some(distance)
            }
            Shape::Box { width, height } => {
                let north = latitude_distance_m(place.latitude, self.center.latitude);
                if north > height * self.unit_m / 2.0 {
                    return None;
                }
                let below = Point {
                    longitude: self.center.longitude,
                    latitude: place.latitude,
                };
                if place.distance_m(below) > width * self.unit_m / 2.0 {
                    return None;
                }
                Some(self.center.distance_m(place))
            }
        }
    }

    /// The cells that cover it, in the order in which Redis looks at them: the one in the middle, and those of its
    /// neighbours that reach into the area. Around the whole map some come twice.
    pub(crate) fn cells(&self) -> SmallVec<[Cell; 9]> {
        let outer = self.outer_bounds();
        let mut steps = self.steps();
        let mut middle = Cell::of(self.center, steps);
        if steps > 1 && falls_short(middle, outer) {
            steps -= 1;
            middle = Cell::of(self.center, steps);
        }
        let inner = middle.bounds();
        // Where the middle cell goes past the area, its neighbours on that side don't matter.
        let few = steps >= 2;
        let no_south = few && inner.latitude.0 < outer.latitude.0;
        let no_north = few && inner.latitude.1 > outer.latitude.1;
        let no_west = few && inner.longitude.0 < outer.longitude.0;
        let no_east = few && inner.longitude.1 > outer.longitude.1;
        const AROUND: [(i8, i8); 8] = [
            (0, 1),
            (0, -1),
            (1, 0),
            (-1, 0),
            (1, 1),
            (-1, 1),
            (1, -1),
            (-1, -1),
        ];
        let mut cells = SmallVec::<[Cell; 9]>::new();
        cells.push(middle);
        for (east, north) in AROUND {
            let left_out = (north < 0 && no_south)
                || (north > 0 && no_north)
                || (east < 0 && no_west)
                || (east > 0 && no_east);
            let cell = middle.neighbour(east, north);
            // Around the map two neighbours in a row may be the same cell. As in Redis, the middle is not compared.
            let is_last = cells.len() > 1 && cells.last() == Some(&cell);
            if !left_out && !is_last {
                cells.push(cell);
            }
        }
        cells
    }

    /// The box of degrees around it.
    fn outer_bounds(&self) -> Bounds {
        let Point {
            longitude,
            latitude,
        } = self.center;
        let (east, north) = half_sides(self.shape);
        let (east_m, north_m) = (self.unit_m * east, self.unit_m * north);
        let north = north_m / EARTH_RADIUS_M / RADIANS;
        // Degrees of longitude are shortest on the side that is nearer to the pole.
        let edge = match latitude < 0.0 {
            true => latitude - north,
            false => latitude + north,
        };
        let east = east_m / EARTH_RADIUS_M / (edge * RADIANS).cos() / RADIANS;
        Bounds {
            longitude: (longitude - east, longitude + east),
            latitude: (latitude - north, latitude + north),
        }
    }

    /// How small cells can be for nine of them to cover the area, mostly.
    fn steps(&self) -> u32 {
        let mut reach_m = self.unit_m
            * match self.shape {
                Shape::Circle { radius } => radius,
                Shape::Box { width, height } => {
                    ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
                }
            };
        if reach_m == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = -1i32;
        while reach_m < MERCATOR_MAX_M {
            reach_m *= 2.0;
            steps += 1;
        }
        // Cells are narrower near the poles.
        let latitude = self.center.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }
}

/// From the centre to the east and to the north.
fn half_sides(shape: Shape) -> (f64, f64) {
    match shape {
        Shape::Circle { radius } => (radius, radius),
        Shape::Box { width, height } => (width / 2.0, height / 2.0),
    }
}

/// Whether the neighbours of a cell end before these bounds on some side.
fn falls_short(middle: Cell, outer: Bounds) -> bool {
    let bounds = |east: i8, north: i8| middle.neighbour(east, north).bounds();
    bounds(0, 1).latitude.1 < outer.latitude.1
        || bounds(0, -1).latitude.0 > outer.latitude.0
        || bounds(1, 0).longitude.1 < outer.longitude.1
        || bounds(-1, 0).longitude.0 > outer.longitude.0
}

impl Outline {
    /// Far more than what floats err by, and far less than what makes a difference.
    const SLACK: f64 = 1e-9;

    fn new(center: Point, east_m: f64, north_m: f64) -> Outline {
        let everywhere = Outline {
            latitude: f64::INFINITY,
            longitude: f64::INFINITY,
        };
        // Distances of half the globe are not exact enough to be told from degrees.
        if !(east_m < EARTH_RADIUS_M && north_m < EARTH_RADIUS_M) {
            return everywhere;
        }
        let loose = |degrees: f64| degrees * (1.0 + Outline::SLACK) + Outline::SLACK;
        let latitude = loose(north_m / EARTH_RADIUS_M / RADIANS);
        let farthest = center.latitude.abs() + latitude;
        // A haversine of at least cos(farthest)^2 sin(longitudes / 2)^2 is that of a place outside.
        let sine = (east_m / EARTH_RADIUS_M / 2.0).sin() / (farthest * RADIANS).cos();
        let longitude = if farthest < 89.0 && sine < 1.0 {
            loose(2.0 * sine.asin() / RADIANS)
        } else {
            f64::INFINITY
        };
        Outline {
            latitude,
            longitude,
        }
    }

    #[inline]
    fn may_hold(self, center: Point, place: Point) -> bool {
        let apart = (place.longitude - center.longitude).abs();
        (place.latitude - center.latitude).abs() <= self.latitude
            && apart.min(360.0 - apart) <= self.longitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outline_and_the_cells_leave_nothing_out() {
        let mut rng = fastrand::Rng::with_seed(12);
        let mut inside = 0;
        for _ in 0..3000 {
            let center = Point::new(360.0 * rng.f64() - 180.0, 160.0 * rng.f64() - 80.0);
            let center = center.expect("on the map");
            let reach = 10f64.powf(7.0 * rng.f64());
            let shape = match rng.bool() {
                true => Shape::Circle { radius: reach },
                false => Shape::Box {
                    width: reach,
                    height: reach * rng.f64(),
                },
            };
            let area = Area::new(center, shape, 1.0);
            let everywhere = Area {
                outline: Outline {
                    latitude: f64::INFINITY,
                    longitude: f64::INFINITY,
                },
                ..area.clone()
            };
            let spread = 2.0 * reach / EARTH_RADIUS_M / RADIANS;
            for _ in 0..50 {
                let near =
                    |at: f64, most: f64| (at + spread * (rng.f64() - 0.5)).clamp(-most, most);
                let mut near = near;
                let (x, y) = (near(center.longitude, 180.0), near(center.latitude, 85.0));
                let place = Point::new(x, y).expect("on the map");
                let score = place.score() as f64;
                let place = Point::of_score(score);
                let within = area.distance_within(place);
                assert_eq!(
                    within,
                    everywhere.distance_within(place),
                    "{area:?} {place:?}"
                );
                // Where the map ends, areas do, as they do in Redis.
                let near_edge = center.latitude.abs() + spread > 80.0
                    || center.longitude.abs() + spread > 179.0;
                if within.is_some() && !near_edge {
                    inside += 1;
                    let is_covered = area.cells().iter().any(|c| c.scores().contains(&score));
                    assert!(is_covered, "{area:?} {place:?}");
                }
            }
        }
        assert!(inside > 10_000, "{inside}");
    }

    #[test]
    fn nothing_is_everywhere() {
        let center = Point::new(1.0, 2.0).expect("on the map");
        let here = Point::of_score(center.score() as f64);
        let point = Area::new(here, Shape::Circle { radius: 0.0 }, 1.0);
        assert_eq!(point.distance_within(here), Some(0.0));
        let globe = Area::new(
            here,
            Shape::Circle {
                radius: f64::INFINITY,
            },
            1.0,
        );
        assert!(globe.distance_within(Point::of_score(0.0)).is_some());
        assert_eq!(
            globe.cells()[0].scores().end,
            3.0 * (1u64 << 50) as f64 + (1u64 << 50) as f64
        );
    }
}
