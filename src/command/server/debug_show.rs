//! DEBUG's subcommands that show something: an object, a table, a reply of each type.

use crate::command::Context;
use crate::command::context::int_arg;
use crate::data::ValueRef;
use crate::rdb::writer::Encoder;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

/// Looks a key up without expiring or touching it.
fn value_at<'c>(ctx: &'c Context<'_>, key: &[u8]) -> CommandResult<crate::keyspace::Entry<'c>> {
    let hash = ctx.node.keyspace.hash(key);
    let db = &ctx.keys.shard(hash).dbs[ctx.session.db];
    db.get(key, hash).ok_or(CommandError::NO_SUCH_KEY)
}

/// DEBUG OBJECT.
pub(in crate::command) fn object(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let entry = value_at(ctx, args[2])?;
    let mut dumped = Vec::new();
    Encoder::new(ctx.settings.rdbcompression).value(&mut dumped, entry.value);
    let now_s = ctx.now_ms / 1000;
    let idle_s = (now_s - i64::from(entry.lru)) & 0xff_ffff;
    let mut text = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{idle_s}",
        entry.key.as_ptr(),
        entry.value.encoding(),
        dumped.len(),
        entry.lru,
    );
    if let ValueRef::List(list) = entry.value
        && list.encoding() == "quicklist"
    {
        let nodes = list.node_count().max(1);
        let bytes: usize = list.nodes().map(<[u8]>::len).sum();
        text.push_str(&format!(
            " ql_nodes:{nodes} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:0 ql_uncompressed_size:{bytes}",
            list.len() as f64 / nodes as f64,
            ctx.settings.encodings.list_max_listpack_size,
        ));
    }
    ctx.reply.simple(&text);
    Ok(())
}

/// DEBUG LISTPACK and QUICKLIST: whether the value has that encoding. Redis prints the bytes on its standard
/// output; DUMP shows them better.
pub(in crate::command) fn encoded(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    encoding: &str,
    article: &str,
    title: &str,
) -> CommandResult {
    if value_at(ctx, args[2])?.value.encoding() != encoding {
        return Err(CommandError::err(format_args!(
            "Not {article} encoded object."
        )));
    }
    ctx.reply
        .simple(&format!("{title} structure printed on stdout"));
    Ok(())
}

/// Figures of a table of segments, laid out as Redis lays out its own.
fn table_text(elements: usize) -> String {
    if elements == 0 {
        return "No stats available for empty dictionaries\n".into();
    }
    format!(
        "Hash table 0 stats (main hash table):\n table size: {}\n number of elements: {elements}\n",
        elements.next_power_of_two()
    )
}

/// DEBUG HTSTATS.
pub(in crate::command) fn table_of_db(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let db = usize::try_from(int_arg(args[2])?).ok();
    let db = db.filter(|&db| db < ctx.node.keyspace.databases());
    let db = db.ok_or(CommandError::fixed("ERR Out of range database"))?;
    let text = format!(
        "[Dictionary HT]\n{}[Expires HT]\n{}",
        table_text(ctx.keys.len(db)),
        table_text(ctx.keys.expires(db))
    );
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// DEBUG HTSTATS-KEY.
pub(in crate::command) fn table_of_key(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let value = value_at(ctx, args[2])?.value;
    let elements = match (value, value.encoding()) {
        (ValueRef::Set(set), "hashtable") => set.len(),
        (ValueRef::Hash(hash), "hashtable") => hash.len(),
        (ValueRef::Zset(zset), "skiplist") => zset.len(),
        _ => {
            return Err(CommandError::fixed(
                "ERR The value stored at the specified key is not represented using an hash table",
            ));
        }
    };
    ctx.reply.verbatim("txt", table_text(elements).as_bytes());
    Ok(())
}

/// DEBUG PROTOCOL: a reply of each type.
pub(in crate::command) fn protocol(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let resp3 = ctx.reply.is_resp3();
    let reply = &mut *ctx.reply;
    let kind = args[2];
    let is = |word: &str| is_word(kind, word);
    if is("string") {
        reply.bulk(b"Hello World");
    } else if is("integer") {
        reply.int(12345);
    } else if is("double") {
        #[allow(clippy::approx_constant)] // Redis's own test value, and not meant to be pi.
        reply.double(3.141);
    } else if is("bignum") {
        reply.big_number("1234567999999999999999999999999999999");
    } else if is("null") {
        reply.null();
    } else if is("array") {
        reply.array(3);
        (0..3).for_each(|n| reply.int(n));
    } else if is("set") {
        reply.set(3);
        (0..3).for_each(|n| reply.int(n));
    } else if is("map") {
        reply.map(3);
        for n in 0..3 {
            reply.int(n);
            reply.boolean(n == 1);
        }
    } else if is("attrib") {
        if resp3 {
            reply.raw(b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n");
        }
        reply.bulk(b"Some real reply following the attribute");
    } else if is("push") {
        if !resp3 {
            return Err(CommandError::fixed(
                "ERR RESP2 is not supported by this command",
            ));
        }
        reply.push(2);
        reply.bulk(b"server-cpu-usage");
        reply.int(42);
        reply.bulk(b"Some real reply following the push reply");
    } else if is("verbatim") {
        reply.verbatim("txt", b"This is a verbatim\nstring");
    } else if is("true") {
        reply.boolean(true);
    } else if is("false") {
        reply.boolean(false);
    } else {
        return Err(CommandError::fixed(
            "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
        ));
    }
    Ok(())
}
