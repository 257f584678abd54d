//! Any bytes as a HyperLogLog: what says that it is one is counted, merged, converted and added to, or is an error; what
//! was whole stays so.

use understudy::internals::data::hyperloglog::{
    Element, Encoding, add, empty, encoding, estimate, merge, merge_back, to_dense,
};

pub fn run(input: &[u8]) {
    let [choice, body @ ..] = input else {
        return;
    };
    let mut sketch = empty();
    sketch.truncate(16);
    sketch.extend_from_slice(body);
    assert_eq!(encoding(&sketch), Some(Encoding::Sparse));
    let count = estimate(&sketch);
    let mut all = [0; 1 << 14];
    assert_eq!(merge(&mut all, &sketch).is_ok(), count.is_ok());
    let mut dense = sketch.clone();
    if to_dense(&mut dense).is_ok() {
        assert_eq!(estimate(&dense), count);
        let mut same = empty();
        merge_back(&mut same, &all, choice % 2 == 0, usize::from(*choice) * 16).expect("whole");
        assert_eq!(estimate(&same), count);
    }
    let elements: Vec<Element> = body.chunks(8).map(Element::of).collect();
    let added = add(&mut sketch, &elements, usize::from(*choice) * 16);
    if count.is_ok() {
        assert_eq!(added.taken, elements.len());
        assert_eq!(add(&mut dense, &elements, 0).taken, elements.len());
        assert_eq!(estimate(&sketch), estimate(&dense));
    }
    // As it came, header and all.
    if encoding(body).is_some() {
        let _ = estimate(body);
        let _ = merge(&mut all, body);
    }
}
