//! An environment file as systemd reads it (`EnvironmentFile=` in systemd.exec(5)), so that commands read the very
//! file that the service reads: nothing in it is executed, and no character means anything but quotes, backslashes and
//! the comments at the beginning of a line.

use std::collections::BTreeMap;

/// The variables of a file. Lines without `=` and names that no variable can have are passed over, as systemd does.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.peek().copied() {
        if first.is_whitespace() {
            characters.next();
            continue;
        }
        if matches!(first, '#' | ';') {
            // A backslash at the end of a comment continues it.
            let mut escaped = false;
            for each in characters.by_ref() {
                if each == '\n' && !escaped {
                    break;
                }
                escaped = each == '\\' && !escaped;
            }
            continue;
        }
        let mut name = String::new();
        let mut ended = false;
        for each in characters.by_ref() {
            match each {
                '=' => break,
                '\n' => {
                    ended = true;
                    break;
                }
                other => name.push(other),
            }
        }
        if ended {
            continue;
        }
        let value = value(&mut characters);
        let name = name.trim();
        let is_name = |name: &str| {
            name.chars()
                .enumerate()
                .all(|(place, each)| each == '_' || each.is_ascii_alphabetic() || (place > 0 && each.is_ascii_digit()))
        };
        if !name.is_empty() && is_name(name) {
            variables.insert(name.to_owned(), value);
        }
    }
    variables
}

/// The value up to the end of its line: of quoted and plain parts, without white space around it.
fn value(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut value = String::new();
    // So much of it is kept, though it ends with white space.
    let mut kept = 0;
    while characters.peek().is_some_and(|each| matches!(each, ' ' | '\t' | '\r')) {
        characters.next();
    }
    while let Some(each) = characters.next() {
        match each {
            '\n' => break,
            '\'' => {
                value.extend(characters.by_ref().take_while(|each| *each != '\''));
                kept = value.len();
            }
            '"' => {
                while let Some(each) = characters.next() {
                    match each {
                        '"' => break,
                        '\\' => match characters.next() {
                            Some('\n') | None => {}
                            // What a backslash stands before within double quotes, as in a shell.
                            Some(escaped @ ('"' | '\\' | '`' | '$')) => value.push(escaped),
                            Some(other) => value.extend(['\\', other]),
                        },
                        other => value.push(other),
                    }
                }
                kept = value.len();
            }
            '\\' => {
                if let Some(escaped) = characters.next().filter(|escaped| *escaped != '\n') {
                    value.push(escaped);
                    kept = value.len();
                }
            }
            other => {
                value.push(other);
                if !other.is_whitespace() {
                    kept = value.len();
                }
            }
        }
    }
    value.truncate(kept);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        parse(text).into_iter().collect()
    }

    fn one(text: &str) -> String {
        parse(&format!("A={text}\n")).remove("A").unwrap()
    }

    #[test]
    fn passwords_full_of_a_shells_characters_are_what_they_are() {
        for plain in ["p$w;rd&x|y>z(1)*?~#", "`id`", "$(id)", "a=b=c", "!history", "50%"] {
            assert_eq!(one(plain), plain);
        }
        assert_eq!(one("'p$w; \\ \"x\"'"), "p$w; \\ \"x\"");
        assert_eq!(one(r#""p\$w \"x\" \\ \n""#), r#"p$w "x" \ \n"#);
        assert_eq!(one(r"a\ b\\c"), r"a b\c");
        assert_eq!(one("  padded \t "), "padded");
        assert_eq!(one("'kept '  "), "kept ");
        assert_eq!(one("one\\\ntwo"), "onetwo");
        assert_eq!(one("'two\nlines'"), "two\nlines");
        assert_eq!(one("a'b'\"c\""), "abc");
        assert_eq!(one(""), "");
    }

    #[test]
    fn comments_and_what_is_no_variable_are_passed_over() {
        let text = "# A=1 \\\nB=in the comment\n; C=2\n\nno variable\n  D = 3\nE-F=4\n9G=5\nH=6";
        assert_eq!(parsed(text), [("D".to_owned(), "3".to_owned()), ("H".to_owned(), "6".to_owned())]);
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_it_panic_and_quoted_text_is_kept(text: String, value in "[^']*") {
            let _ = parse(&text);
            proptest::prop_assert_eq!(one(&format!("'{value}'")), value);
        }
    }
}
