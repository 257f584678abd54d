//! Doubles as replies and dumps spell them: Redis 7.2's digits, byte for byte.
//!
//! The digits come from the Grisu2 algorithm (Florian Loitsch, "Printing floating-point numbers quickly and
//! accurately with integers", 2010) with 64-bit significands, as Redis has used it since 7.2. Read back they
//! always give the same double; once in some hundred texts they are not the shortest that do, so a
//! shortest-digits library would differ from Redis. Integers up to 2^62 are spelled exactly.

/// A double's text, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct DoubleText {
    bytes: [u8; 32],
    len: u8,
}

impl DoubleText {
    /// "inf", "-inf" and "nan" for what they name.
    pub(crate) fn new(value: f64) -> DoubleText {
        let mut text = DoubleText {
            bytes: [0; 32],
            len: 0,
        };
        // Beyond half of the 64-bit range Redis does not take the integer's way.
        const INTEGERS: f64 = (i64::MAX / 2) as f64;
        if value.is_nan() {
            text.put(b"nan");
        } else if value == 0.0 {
            text.put(if value.is_sign_negative() {
                b"-0"
            } else {
                b"0"
            });
        } else if value.abs() <= INTEGERS && value as i64 as f64 == value {
            text.put(itoa::Buffer::new().format(value as i64).as_bytes());
        } else {
            if value < 0.0 {
                text.put(b"-");
            }
            if value.is_infinite() {
                text.put(b"inf");
            } else {
                let digits = Digits::of(value.abs());
                text.put_digits(digits.as_bytes(), digits.exponent);
            }
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only ASCII is ever put in.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    fn put(&mut self, more: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
    }

    fn put_zeros(&mut self, count: usize) {
        self.put(&[b'0'; 24][..count]);
    }

    /// `digits` times ten to the `exponent`, in the shape that Redis gives it: with up to seven zeros added
    /// behind, or a point within or some places in front, else in scientific notation.
    fn put_digits(&mut self, digits: &[u8], exponent: i32) {
        let count = digits.len() as i32;
        let scientific = exponent + count - 1;
        if exponent >= 0 && scientific < count + 7 {
            self.put(digits);
            self.put_zeros(exponent as usize);
        } else if exponent < 0 && (exponent > -7 || scientific.abs() < 4) {
            let before_point = count + exponent;
            if before_point <= 0 {
                self.put(b"0.");
                self.put_zeros(before_point.unsigned_abs() as usize);
                self.put(digits);
            } else {
                let (whole, fraction) = digits.split_at(before_point as usize);
                self.put(whole);
                self.put(b".");
                self.put(fraction);
            }
        } else {
            let (first, rest) = digits.split_at(1);
            self.put(first);
            if !rest.is_empty() {
                self.put(b".");
                self.put(rest);
            }
            self.put(if scientific < 0 { b"e-" } else { b"e+" });
            let power = scientific.unsigned_abs();
            self.put(itoa::Buffer::new().format(power).as_bytes());
        }
    }
}

/// A floating-point number with a 64-bit significand.
#[derive(Clone, Copy)]
struct Wide {
    significand: u64,
    exponent: i32,
}

impl Wide {
    /// Shifts the significand up until its top bit is set.
    fn normalized(self) -> Wide {
        let shift = self.significand.leading_zeros();
        Wide {
            significand: self.significand << shift,
            exponent: self.exponent - shift as i32,
        }
    }

    /// The upper half of the product, rounded.
    fn times(self, other: Wide) -> Wide {
        let product = u128::from(self.significand) * u128::from(other.significand);
        Wide {
            significand: ((product + (1 << 63)) >> 64) as u64,
            exponent: self.exponent + other.exponent + 64,
        }
    }
}

/// Decimal digits and the power of ten of the last one.
struct Digits {
    bytes: [u8; 20],
    len: usize,
    exponent: i32,
}

impl Digits {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, digit: u64) {
        // Leading zeros are no digits.
        if (digit > 0 || self.len > 0) && self.len < self.bytes.len() {
            self.bytes[self.len] = b'0' + digit as u8;
            self.len += 1;
        }
    }

    /// The digits of a positive, finite double.
    fn of(value: f64) -> Digits {
        const FRACTION_BITS: u32 = 52;
        const HIDDEN: u64 = 1 << FRACTION_BITS;
        let bits = value.to_bits();
        let biased = (bits >> FRACTION_BITS) as i32;
        let (significand, exponent) = match biased {
            0 => (bits, 1 - 1075),
            _ => (bits & (HIDDEN - 1) | HIDDEN, biased - 1075),
        };
        let exact = Wide {
            significand,
            exponent,
        };
        // Half way to the neighbours on both sides; the one below a power of two is nearer.
        let upper = Wide {
            significand: 2 * significand + 1,
            exponent: exponent - 1,
        }
        .normalized();
        let near = if significand == HIDDEN { 2 } else { 1 };
        let lower = ((significand << near) - 1) << (exponent - near - upper.exponent);

        let (power, tens) = power_for(upper.exponent);
        let exact = exact.normalized().times(power);
        let upper = upper.times(power);
        let lower = Wide {
            significand: lower,
            exponent: 0,
        }
        .times(power);
        // One unit inwards on both sides, for what the roundings may have lost.
        let top = Wide {
            significand: upper.significand - 1,
            ..upper
        };
        let mut digits = Digits {
            bytes: [0; 20],
            len: 0,
            exponent: -tens,
        };
        digits.generate(top, top.significand - lower.significand - 1, exact);
        digits
    }

    /// Writes digits of `top` until what is left is within `width` below it, then steps the last one down
    /// towards `exact`.
    fn generate(&mut self, top: Wide, width: u64, exact: Wide) {
        let shift = (-top.exponent) as u32;
        let one = 1u64 << shift;
        let goal = top.significand - exact.significand;
        let mut whole = top.significand >> shift;
        let mut fraction = top.significand & (one - 1);
        let mut unit = 1_000_000_000u64;
        for place in (0..10).rev() {
            self.push(whole / unit);
            whole %= unit;
            let rest = (whole << shift) + fraction;
            if rest <= width {
                self.exponent += place;
                self.step_down(width, rest, unit << shift, goal);
                return;
            }
            unit /= 10;
        }
        let (mut width, mut goal) = (width, goal);
        loop {
            fraction = fraction.wrapping_mul(10);
            width = width.wrapping_mul(10);
            goal = goal.wrapping_mul(10);
            self.exponent -= 1;
            self.push(fraction >> shift);
            fraction &= one - 1;
            if fraction < width {
                self.step_down(width, fraction, one, goal);
                return;
            }
        }
    }

    /// Lowers the last digit while that brings the text nearer to the number and keeps it within `width`.
    fn step_down(&mut self, width: u64, mut rest: u64, unit: u64, goal: u64) {
        while rest < goal
            && width - rest >= unit
            && (rest + unit < goal || goal - rest > rest + unit - goal)
        {
            self.bytes[self.len - 1] -= 1;
            rest += unit;
        }
    }
}

/// A power of ten that brings a number with this binary exponent to an exponent of -60 to -32, and which.
fn power_for(exponent: i32) -> (Wide, i32) {
    const LOG10_OF_2: f64 = 0.301_029_995_663_981_14;
    let guess = (f64::from(-(exponent + POWERS.len() as i32)) * LOG10_OF_2) as i32;
    let mut at = ((guess - FIRST_POWER) / POWER_STEP) as usize;
    // The guess is at most one off, and the table reaches far enough for every double.
    loop {
        let (significand, power_exponent) = POWERS[at];
        match exponent + power_exponent + 64 {
            ..-60 => at += 1,
            -31.. => at -= 1,
            _ => {
                let power = Wide {
                    significand,
                    exponent: power_exponent,
                };
                return (power, FIRST_POWER + at as i32 * POWER_STEP);
            }
        }
    }
}

const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;
/// Ten to the -348, -340, ... 340: significands rounded to 64 bits, and binary exponents.
#[rustfmt::skip]
const POWERS: [(u64, i32); 87] = [
    (0xfa8f_d5a0_081c_0288, -1220), (0xbaae_e17f_a23e_bf76, -1193), (0x8b16_fb20_3055_ac76, -1166),
    (0xcf42_894a_5dce_35ea, -1140), (0x9a6b_b0aa_5565_3b2d, -1113), (0xe61a_cf03_3d1a_45df, -1087),
    (0xab70_fe17_c79a_c6ca, -1060), (0xff77_b1fc_bebc_dc4f, -1034), (0xbe56_91ef_416b_d60c, -1007),
    (0x8dd0_1fad_907f_fc3c, -980), (0xd351_5c28_3155_9a83, -954), (0x9d71_ac8f_ada6_c9b5, -927),
    (0xea9c_2277_23ee_8bcb, -901), (0xaecc_4991_4078_536d, -874), (0x823c_1279_5db6_ce57, -847),
    (0xc210_9436_4dfb_5637, -821), (0x9096_ea6f_3848_984f, -794), (0xd774_85cb_2582_3ac7, -768),
    (0xa086_cfcd_97bf_97f4, -741), (0xef34_0a98_172a_ace5, -715), (0xb238_67fb_2a35_b28e, -688),
    (0x84c8_d4df_d2c6_3f3b, -661), (0xc5dd_4427_1ad3_cdba, -635), (0x936b_9fce_bb25_c996, -608),
    (0xdbac_6c24_7d62_a584, -582), (0xa3ab_6658_0d5f_daf6, -555), (0xf3e2_f893_dec3_f126, -529),
    (0xb5b5_ada8_aaff_80b8, -502), (0x8762_5f05_6c7c_4a8b, -475), (0xc9bc_ff60_34c1_3053, -449),
    (0x964e_858c_91ba_2655, -422), (0xdff9_7724_7029_7ebd, -396), (0xa6df_bd9f_b8e5_b88f, -369),
    (0xf8a9_5fcf_8874_7d94, -343), (0xb944_7093_8fa8_9bcf, -316), (0x8a08_f0f8_bf0f_156b, -289),
    (0xcdb0_2555_6531_31b6, -263), (0x993f_e2c6_d07b_7fac, -236), (0xe45c_10c4_2a2b_3b06, -210),
    (0xaa24_2499_6973_92d3, -183), (0xfd87_b5f2_8300_ca0e, -157), (0xbce5_0864_9211_1aeb, -130),
    (0x8cbc_cc09_6f50_88cc, -103), (0xd1b7_1758_e219_652c, -77), (0x9c40_0000_0000_0000, -50),
    (0xe8d4_a510_0000_0000, -24), (0xad78_ebc5_ac62_0000, 3), (0x813f_3978_f894_0984, 30),
    (0xc097_ce7b_c907_15b3, 56), (0x8f7e_32ce_7bea_5c70, 83), (0xd5d2_38a4_abe9_8068, 109),
    (0x9f4f_2726_179a_2245, 136), (0xed63_a231_d4c4_fb27, 162), (0xb0de_6538_8cc8_ada8, 189),
    (0x83c7_088e_1aab_65db, 216), (0xc45d_1df9_4271_1d9a, 242), (0x924d_692c_a61b_e758, 269),
    (0xda01_ee64_1a70_8dea, 295), (0xa26d_a399_9aef_774a, 322), (0xf209_787b_b47d_6b85, 348),
    (0xb454_e4a1_79dd_1877, 375), (0x865b_8692_5b9b_c5c2, 402), (0xc835_53c5_c896_5d3d, 428),
    (0x952a_b45c_fa97_a0b3, 455), (0xde46_9fbd_99a0_5fe3, 481), (0xa59b_c234_db39_8c25, 508),
    (0xf6c6_9a72_a398_9f5c, 534), (0xb7dc_bf53_54e9_bece, 561), (0x88fc_f317_f222_41e2, 588),
    (0xcc20_ce9b_d35c_78a5, 614), (0x9816_5af3_7b21_53df, 641), (0xe2a0_b5dc_971f_303a, 667),
    (0xa8d9_d153_5ce3_b396, 694), (0xfb9b_7cd9_a4a7_443c, 720), (0xbb76_4c4c_a7a4_4410, 747),
    (0x8bab_8eef_b640_9c1a, 774), (0xd01f_ef10_a657_842c, 800), (0x9b10_a4e5_e991_3129, 827),
    (0xe710_9bfb_a19c_0c9d, 853), (0xac28_20d9_623b_f429, 880), (0x8044_4b5e_7aa7_cf85, 907),
    (0xbf21_e440_03ac_dd2d, 933), (0x8e67_9c2f_5e44_ff8f, 960), (0xd433_179d_9c8c_b841, 986),
    (0x9e19_db92_b4e3_1ba9, 1013), (0xeb96_bf6e_badf_77d9, 1039), (0xaf87_023b_9bf0_ee6b, 1066),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::DoubleText;

    #[test]
    fn texts_are_those_of_redis() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (2.75, "2.75"),
            (1e-5, "0.00001"),
            (1e-7, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (123456.789, "123456.789"),
            (1e17, "100000000000000000"),
            (1e18, "1000000000000000000"),
            (1152921504606846976.0, "1152921504606846976"),
            (1e19, "1e+19"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (-2.5e-300, "-2.5e-300"),
            (12345678901234567890.0, "12345678901234567000"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::from_bits(1), "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            // Not the shortest, and not the nearest: what Grisu2 gives.
            (1223383794756801.2, "1223383794756801.3"),
            (0.004068173302405382, "0.0040681733024053816"),
        ] {
            assert_eq!(DoubleText::new(value).as_str(), text, "{value:e}");
        }
    }

    proptest! {
        #[test]
        fn every_double_comes_back(bits: u64) {
            let value = f64::from_bits(bits);
            let text = DoubleText::new(value);
            let back: f64 = text.as_str().parse().unwrap();
            prop_assert!(back == value || value.is_nan() && back.is_nan(), "{}", text.as_str());
        }
    }
}
