//! Bitmaps, bit fields, HyperLogLogs and geo sets.

use super::{Command, Generator, Pool};

impl Generator {
    fn bit_offset(&mut self) -> Vec<u8> {
        match self.rng.u8(..30) {
            0 => "4294967296".into(),
            1 => "-1".into(),
            2 => self.rng.u32(..100_000).to_string().into_bytes(),
            _ => self.rng.u32(..600).to_string().into_bytes(),
        }
    }

    fn bit(&mut self) -> &'static str {
        self.pick(&["0", "1", "0", "1", "0", "1", "2"])
    }

    pub(super) fn bitmap(&mut self) -> Command {
        let key = match self.rng.u8(..8) {
            0 => self.key(Pool::String),
            1 => self.key(Pool::Number),
            _ => self.key(Pool::Bits),
        };
        match self.rng.u8(..20) {
            0..4 => cmd!["SETBIT", key, self.bit_offset(), self.bit()],
            4 | 5 => cmd!["GETBIT", key, self.bit_offset()],
            6..9 => {
                let mut command = cmd!["BITCOUNT", key];
                if !self.one_in(3) {
                    command.extend([self.index(), self.index()]);
                    command.extend(self.bit_unit());
                }
                command
            }
            9..12 => {
                let mut command = cmd!["BITPOS", key, self.bit()];
                if !self.one_in(3) {
                    command.push(self.index());
                    if !self.one_in(3) {
                        command.push(self.index());
                        command.extend(self.bit_unit());
                    }
                }
                command
            }
            12..15 => {
                let operation = self.pick(&["AND", "OR", "XOR", "NOT", "xor"]);
                let most = if operation == "NOT" { 1 } else { 4 };
                let mut command = cmd!["BITOP", operation, self.own_key(Pool::Bits)];
                command.extend(self.keys(Pool::Bits, most));
                command
            }
            15 => cmd![
                "SETRANGE",
                key,
                self.rng.u32(..80).to_string(),
                self.value()
            ],
            16 => cmd!["GET", key],
            17 => cmd!["OBJECT", "ENCODING", key],
            _ => self.bit_field(key),
        }
    }

    fn bit_unit(&mut self) -> Option<Vec<u8>> {
        let unit = self.pick(&["BIT", "BYTE", "bit", ""]);
        (!unit.is_empty()).then(|| unit.into())
    }

    fn bit_field(&mut self, key: Vec<u8>) -> Command {
        let only_get = self.one_in(4);
        let mut command = cmd![if only_get { "BITFIELD_RO" } else { "BITFIELD" }, key];
        for _ in 0..self.rng.usize(..5) {
            let kind = if self.one_in(2) { "i" } else { "u" };
            let width = match self.rng.u8(..6) {
                0 => self.rng.u32(..67),
                1 => [63, 64, 32, 1][self.rng.usize(..4)],
                _ => self.rng.u32(1..20),
            };
            let kind = format!("{kind}{width}");
            let offset = match self.rng.u8(..3) {
                0 => format!("#{}", self.rng.u32(..20)).into_bytes(),
                _ => self.bit_offset(),
            };
            let value = match self.rng.u8(..4) {
                0 => self.rng.i64(..),
                1 => [i64::MIN, i64::MIN + 100, i64::MAX, 0][self.rng.usize(..4)],
                _ => self.rng.i64(-300..300),
            };
            if self.one_in(3) && !only_get {
                command.extend(cmd!["OVERFLOW", self.pick(&["WRAP", "SAT", "FAIL"])]);
            }
            match self.rng.u8(..3) {
                1 if !only_get => command.extend(cmd!["SET", kind, offset, value.to_string()]),
                2 if !only_get => command.extend(cmd!["INCRBY", kind, offset, value.to_string()]),
                _ => command.extend(cmd!["GET", kind, offset]),
            }
        }
        command
    }

    pub(super) fn sketch(&mut self) -> Command {
        let key = self.key(Pool::Sketch);
        match self.rng.u8(..16) {
            0..6 => {
                let mut command = cmd!["PFADD", key];
                for _ in 0..self.rng.usize(..6) {
                    command.push(self.element());
                }
                command
            }
            6 | 7 => {
                let mut command = cmd!["PFADD", key];
                let from = self.rng.u32(..5000);
                let count = [10, 100, 600][self.rng.usize(..3)];
                command.extend((from..from + count).map(|n| n.to_string().into_bytes()));
                command
            }
            8..11 => cmd!["PFCOUNT", key],
            11 => {
                let mut command = cmd!["PFCOUNT"];
                command.extend(self.keys(Pool::Sketch, 4));
                command
            }
            12 => {
                let mut command = cmd!["PFMERGE", key];
                command.extend(self.keys(Pool::Sketch, 3));
                command
            }
            13 => {
                let word = self.pick(&["ENCODING", "DECODE", "encoding", "TODENSE", "OTHER"]);
                cmd!["PFDEBUG", word, key]
            }
            14 => cmd!["STRLEN", key],
            _ if self.one_in(6) => {
                // Into the runs or the registers, which may be corrupt then.
                let at = self.rng.u32(..60).to_string();
                cmd!["SETRANGE", key, at, self.bytes(1..3)]
            }
            _ if self.one_in(3) => cmd!["DEL", key],
            _ => cmd!["GET", key],
        }
    }

    fn place(&mut self) -> [Vec<u8>; 2] {
        let (longitude, latitude) = match self.rng.u8(..12) {
            0 => (181.0, 10.0),
            1 => (
                360.0 * self.rng.f64() - 180.0,
                170.0 * self.rng.f64() - 85.0,
            ),
            2 => (-179.99 + 0.01 * self.rng.f64(), 84.9 + 0.1 * self.rng.f64()),
            _ => (13.0 + 3.0 * self.rng.f64(), 37.0 + 2.0 * self.rng.f64()),
        };
        [longitude.to_string().into(), latitude.to_string().into()]
    }

    fn length(&mut self) -> Vec<u8> {
        let length = 10f64.powf(self.rng.f64() * 4.0);
        match self.rng.u8(..20) {
            0 => "-1".into(),
            1 => "0".into(),
            2 => "1e9".into(),
            _ => length.to_string().into(),
        }
    }

    fn unit(&mut self) -> &'static str {
        self.pick(&["m", "km", "km", "km", "ft", "mi", "KM", "yd"])
    }

    pub(super) fn geo(&mut self) -> Command {
        let key = self.key(Pool::Geo);
        match self.rng.u8(..20) {
            0..6 => {
                let mut command = cmd!["GEOADD", key];
                for _ in 0..self.rng.usize(..5).saturating_sub(3) {
                    command.extend(cmd![self.pick(&["NX", "XX", "CH"])]);
                }
                for _ in 0..self.rng.usize(1..5) {
                    command.extend(self.place());
                    command.push(self.element());
                }
                command
            }
            6 | 7 => {
                let mut command = cmd!["GEODIST", key, self.element(), self.element()];
                if self.one_in(2) {
                    command.extend(cmd![self.unit()]);
                }
                command
            }
            8 | 9 => {
                let mut command = cmd![self.pick(&["GEOHASH", "GEOPOS"]), key];
                command.extend(self.elements(4));
                command
            }
            10..13 => self.geo_radius(key),
            13..18 => self.geo_search(key),
            18 => cmd!["ZREM", key, self.element(), self.element()],
            _ => cmd!["ZRANGE", key, "0", "-1", "WITHSCORES"],
        }
    }

    fn geo_radius(&mut self, key: Vec<u8>) -> Command {
        let name = self.pick(&["GEORADIUS", "GEORADIUSBYMEMBER"]);
        let only_read = self.one_in(3);
        let mut command = cmd![name, key];
        match name {
            "GEORADIUS" => command.extend(self.place()),
            _ => command.push(self.element()),
        }
        command.extend([self.length(), self.unit().into()]);
        self.geo_options(&mut command);
        if only_read {
            command[0].extend_from_slice(b"_RO");
        } else if self.one_in(3) {
            let word = self.pick(&["STORE", "STOREDIST"]);
            command.extend(cmd![word, self.own_key(Pool::Geo)]);
        }
        command
    }

    fn geo_search(&mut self, key: Vec<u8>) -> Command {
        let stores = self.one_in(4);
        let mut command = match stores {
            true => cmd!["GEOSEARCHSTORE", self.own_key(Pool::Geo), key],
            false => cmd!["GEOSEARCH", key],
        };
        if self.one_in(3) {
            command.extend(cmd!["FROMMEMBER", self.element()]);
        } else {
            command.extend(cmd!["FROMLONLAT"]);
            command.extend(self.place());
        }
        if self.one_in(2) {
            command.extend(cmd!["BYRADIUS", self.length(), self.unit()]);
        } else {
            command.extend(cmd!["BYBOX", self.length(), self.length(), self.unit()]);
        }
        if stores && self.one_in(2) {
            command.extend(cmd!["STOREDIST"]);
        }
        self.geo_options(&mut command);
        command
    }

    fn geo_options(&mut self, command: &mut Command) {
        let shows = !command[0].ends_with(b"STORE") || self.one_in(6);
        for _ in 0..self.rng.usize(..4) {
            match self.rng.u8(..6) {
                0 => command.extend(cmd![self.pick(&["ASC", "DESC"])]),
                1 => command.extend(cmd!["COUNT", self.count()]),
                2 => command.extend(cmd!["COUNT", "2", "ANY"]),
                _ if shows => {
                    command.extend(cmd![self.pick(&["WITHDIST", "WITHHASH", "WITHCOORD"])]);
                }
                _ => {}
            }
        }
    }
}
