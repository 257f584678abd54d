use super::*;

#[test]
fn numbers_become_integers_as_c_makes_them() {
    assert_eq!(to_int(2_147_483_647.5), i32::MAX);
    assert_eq!(to_int(2_147_483_648.0), i32::MIN);
    assert_eq!(to_int(-1.5), -1);
    assert_eq!(to_int(f64::NAN), i32::MIN);
    assert_eq!(to_unsigned(9_223_372_036_854_775_808.0), 1 << 63);
    assert_eq!(to_unsigned(1e300), 0);
    assert_eq!(to_unsigned(f64::NAN), 1 << 63);
    assert_eq!(to_unsigned(7.9), 7);
}
