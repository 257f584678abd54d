//! LCS: the longest common subsequence of two strings, by the usual table of prefix lengths.

use crate::command::context::int_arg;
use crate::command::{Context, Handlers};
use crate::data::ValueRef;
use crate::resp::Reply;
use crate::resp::reply::Aggregate;
use crate::table::{Args, CommandError, CommandResult};
use crate::text::is_word;

pub(crate) const HANDLERS: Handlers = &[("lcs", lcs)];

/// What to answer: the text (default), its length, or where its runs are.
#[derive(Debug, Default)]
struct Options {
    length: bool,
    runs: bool,
    with_run_length: bool,
    run_length_min: i64,
}

impl Options {
    fn parse(words: &[&[u8]]) -> CommandResult<Options> {
        let mut options = Options::default();
        let mut rest = words.iter();
        while let Some(&word) = rest.next() {
            if is_word(word, "idx") {
                options.runs = true;
            } else if is_word(word, "len") {
                options.length = true;
            } else if is_word(word, "withmatchlen") {
                options.with_run_length = true;
            } else if is_word(word, "minmatchlen") {
                let least = rest.next().ok_or(CommandError::SYNTAX)?;
                options.run_length_min = int_arg(least)?;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        if options.length && options.runs {
            return Err(CommandError::fixed(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

fn lcs(ctx: &mut Context<'_>, args: &Args<'_>) -> CommandResult {
    let mut texts = [Vec::new(), Vec::new()];
    for (text, key) in texts.iter_mut().zip(&args[1..3]) {
        match ctx.find(key) {
            None => {}
            Some(ValueRef::String(value)) => *text = value.to_vec(),
            Some(_) => {
                return Err(CommandError::fixed(
                    "ERR The specified keys must contain string values",
                ));
            }
        }
    }
    let options = Options::parse(&args[3..])?;
    let table = Table::new(&texts[0], &texts[1], ctx.settings.proto_max_bulk_len)?;
    if options.length {
        ctx.reply.int(i64::from(table.length()));
    } else if options.runs {
        reply_runs(ctx.reply, &table, &options);
    } else {
        let text: Vec<u8> = table.pairs().map(|(i, _)| texts[0][i]).collect();
        ctx.reply.bulk(&text.into_iter().rev().collect::<Vec<u8>>());
    }
    Ok(())
}

/// The runs from last to first, and the total length.
fn reply_runs(reply: &mut Reply, table: &Table<'_>, options: &Options) {
    reply.map(2);
    reply.bulk(b"matches");
    let mark = reply.begin();
    let mut count = 0;
    for run in table.runs() {
        if (run.length as i64) < options.run_length_min {
            continue;
        }
        reply.array(2 + usize::from(options.with_run_length));
        for start in [run.a, run.b] {
            reply.array(2);
            reply.int(start as i64);
            reply.int((start + run.length - 1) as i64);
        }
        if options.with_run_length {
            reply.int(run.length as i64);
        }
        count += 1;
    }
    reply.end(mark, Aggregate::Array, count);
    reply.bulk(b"len");
    reply.int(i64::from(table.length()));
}

/// Equal bytes at `a..a+length` of one text and `b..b+length` of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    a: usize,
    b: usize,
    length: usize,
}

/// Lengths of the longest common subsequences of all pairs of prefixes, row by row.
#[derive(Debug)]
struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    lengths: Vec<u32>,
}

impl<'a> Table<'a> {
    /// Refuses tables of more than `bytes_max`.
    fn new(a: &'a [u8], b: &'a [u8], bytes_max: u64) -> CommandResult<Table<'a>> {
        let text_max = u32::MAX as usize - 1;
        if a.len() >= text_max || b.len() >= text_max {
            return Err(CommandError::fixed("ERR String too long for LCS"));
        }
        let width = b.len() + 1;
        // Both factors are below 2^32.
        let cells = (a.len() as u64 + 1).saturating_mul(width as u64);
        if cells.saturating_mul(4) > bytes_max {
            return Err(CommandError::fixed(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            ));
        }
        let mut lengths = Vec::new();
        lengths.try_reserve_exact(cells as usize).map_err(|_| {
            CommandError::fixed(
                "ERR Insufficient memory, failed allocating transient memory for LCS",
            )
        })?;
        lengths.resize(cells as usize, 0u32);
        for (i, x) in a.iter().enumerate() {
            // The row of the prefix before `x`, and the one that ends with it.
            let (above, row) = lengths[i * width..(i + 2) * width].split_at_mut(width);
            for (j, y) in b.iter().enumerate() {
                row[j + 1] = if x == y {
                    above[j] + 1
                } else {
                    above[j + 1].max(row[j])
                };
            }
        }
        Ok(Table { a, b, lengths })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.lengths[i * (self.b.len() + 1) + j]
    }

    fn length(&self) -> u32 {
        self.at(self.a.len(), self.b.len())
    }

    /// The index pairs of the subsequence, last first. Between two ways of the same length the one that
    /// steps back in `b` is taken, which is Redis's choice.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        std::iter::from_fn(move || {
            while i > 0 && j > 0 {
                if self.a[i - 1] == self.b[j - 1] {
                    (i, j) = (i - 1, j - 1);
                    return Some((i, j));
                }
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
            }
            None
        })
    }

    /// The pairs as runs that are contiguous in both texts, last first.
    fn runs(&self) -> impl Iterator<Item = Run> {
        let mut pairs = self.pairs().peekable();
        std::iter::from_fn(move || {
            let (mut a, mut b) = pairs.next()?;
            let mut length = 1;
            while let Some((i, j)) = pairs.next_if(|&(i, j)| i + 1 == a && j + 1 == b) {
                (a, b) = (i, j);
                length += 1;
            }
            Some(Run { a, b, length })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Run, Table};

    #[test]
    fn subsequence_and_runs() {
        let table = Table::new(b"ohmytext", b"mynewtext", 1 << 20).unwrap();
        assert_eq!(table.length(), 6);
        let runs: Vec<Run> = table.runs().collect();
        let run = |a, b, length| Run { a, b, length };
        assert_eq!(runs, [run(4, 5, 4), run(2, 0, 2)]);
    }

    #[test]
    fn tables_are_bounded() {
        assert!(Table::new(&[b'a'; 100], &[b'b'; 100], 10_000).is_err());
        let empty = Table::new(b"", b"abc", 100).unwrap();
        assert_eq!(empty.length(), 0);
        assert_eq!(empty.runs().count(), 0);
    }
}
