//! Standard output, whose reader may have gone: `lshookd delivery list | head` is no reason to panic, and an
//! installation goes on to its end whether somebody reads what it says or not. A full disk is an error.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::Mutex;

/// Why standard output could not be written, if it was not for want of a reader.
static FAILURE: Mutex<Option<String>> = Mutex::new(None);

/// Prints a line; `false` when nobody reads any more, or it cannot be written.
pub fn line(text: Arguments<'_>) -> bool {
    let mut output = std::io::stdout().lock();
    let Err(error) = writeln!(output, "{text}").and_then(|()| output.flush()) else {
        return true;
    };
    if error.kind() != ErrorKind::BrokenPipe
        && let Ok(mut failure) = FAILURE.lock()
    {
        failure.get_or_insert(error.to_string());
    }
    false
}

/// Why something could not be printed, if anything could not.
pub fn failure() -> Option<String> {
    FAILURE.lock().ok().and_then(|failure| failure.clone())
}

/// Prints a line as `println!` does, and is `false` when nobody reads any more.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::terminal::line(format_args!($($text)*))
    };
}
