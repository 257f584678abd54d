//! Replies as values: for our own clients (the in-process handle, the master link, tests). (being written)

/// One RESP value, either protocol version.
#[derive(Clone, Debug, PartialEq)]
pub enum RespValue {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<RespValue>),
    Map(Vec<(RespValue, RespValue)>),
    Set(Vec<RespValue>),
    Push(Vec<RespValue>),
    Double(f64),
    Boolean(bool),
    Verbatim(String, Vec<u8>),
    BigNumber(String),
}
