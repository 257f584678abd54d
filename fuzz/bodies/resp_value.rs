//! Any bytes as a reply: a value, more wanted, or an error; a value's bytes alone give the same value.

use understudy::RespValue;

pub fn run(input: &[u8]) {
    if let Ok(Some((value, used))) = RespValue::read(input) {
        assert!(used <= input.len());
        let again = RespValue::read(&input[..used]).expect("it was read once");
        // Not-a-number differs from itself.
        assert_eq!(
            format!("{:?}", again.expect("all of it is there").0),
            format!("{value:?}")
        );
        assert!(!matches!(RespValue::read(&input[..used - 1]), Ok(Some((_, n))) if n == used));
    }
}
