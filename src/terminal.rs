//! Standard output, whose reader may have gone: `lshookd deliveries | head` is no reason to panic, and
//! an installation goes on to its end whether somebody reads what it says or not.

use std::fmt::Arguments;
use std::io::Write;

/// Prints a line; `false` when nobody reads any more.
pub fn line(text: Arguments<'_>) -> bool {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}").and_then(|()| output.flush()).is_ok()
}

/// Prints a line as `println!` does, and is `false` when nobody reads any more.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::terminal::line(format_args!($($text)*))
    };
}
