//! Any bytes as the input of a library's functions that read, and what they read written again: never a crash, and what
//! was written is read as what it was. The first byte chooses the library.

use std::cell::RefCell;

use understudy::internals::testing::ScriptRoom;

const MEMORY_MAX: usize = 32 << 20;

/// Whether values are the same, as far as they are packed; a table as a key is another one when it is read.
const SAME: &str = "
    local function same(a, b, depth)
        if depth > 15 then return true end
        if type(a) ~= 'table' or type(b) ~= 'table' then return a == b or a ~= a and b ~= b end
        for k, v in pairs(a) do
            if type(k) ~= 'table' and not same(v, b[k], depth + 1) then return false end
        end
        for k in pairs(b) do
            if type(k) ~= 'table' and a[k] == nil then return false end
        end
        return true
    end ";

/// Reads, writes and reads again; numbers of JSON lose digits, so it is the second and third reading that are compared.
const JSON: &str = "
    local read, value = pcall(cjson.decode, input)
    if not read then return 'refused' end
    local wrote, text = pcall(cjson.encode, value)
    if not wrote then return 'refused' end
    local again = cjson.decode(text)
    return same(again, cjson.decode(cjson.encode(again)), 0) and 'same' or 'other'";

const MESSAGE_PACK: &str = "
    local all = {pcall(cmsgpack.unpack, input)}
    pcall(cmsgpack.unpack_limit, input, 2, 1)
    if not all[1] or #all < 2 then return 'refused' end
    local one = all[2]
    return same(one, cmsgpack.unpack(cmsgpack.pack(one)), 0) and 'same' or 'other'";

/// The input up to its first bar is the format, and what comes after it the data.
const STRUCT: &str = "
    local format, data = input:match('^([^|]*)|(.*)$')
    if not format then return 'refused' end
    pcall(struct.size, format)
    local all = {pcall(struct.unpack, format, data)}
    pcall(struct.pack, format, unpack(all, 2, math.min(#all, 100)))
    return 'same'";

/// Words of the input as arguments.
const BIT: &str = "
    local words = {}
    for word in input:gmatch('%S+') do words[#words + 1] = tonumber(word) or word if #words == 5 then break end end
    for name, operation in pairs(bit) do
        local done, result = pcall(operation, unpack(words))
        if done and name ~= 'tohex' and (result ~= math.floor(result) or math.abs(result) > 2147483648) then
            return 'other'
        end
    end
    return 'same'";

thread_local! {
    static ROOM: RefCell<ScriptRoom> = RefCell::new(ScriptRoom::new(MEMORY_MAX));
}

pub fn run(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else {
        return;
    };
    let body = [JSON, MESSAGE_PACK, STRUCT, BIT][usize::from(choice % 4)];
    let escaped: String = input.iter().map(|b| format!("\\{b:03}")).collect();
    let script = format!("local input = '{escaped}' {SAME}{body}");
    ROOM.with_borrow_mut(|room| match room.run(script.as_bytes()) {
        Ok(answer) => assert_ne!(answer, b"other"),
        Err(error) => {
            let error = String::from_utf8_lossy(&error);
            assert!(error.contains("not enough memory"), "{error}");
        }
    });
}
