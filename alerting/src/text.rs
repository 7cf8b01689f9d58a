//! Text that people write: comments, results, reasons.
//!
//! A [`FreeText`] is bounded, not empty, and shows what it says: no control characters but line feeds, none of the
//! invisible ones that reorder or hide what stands beside them. Not here: what a text means.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest text, characters.
pub const MAX_CHARS: usize = 2000;

/// 1 to [`MAX_CHARS`] characters, without space around them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FreeText(String);

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing, or space only.
    #[error("the text is empty: write something")]
    Empty,
    /// Longer than [`MAX_CHARS`].
    #[error("the text has {n_chars} characters: write at most {MAX_CHARS}")]
    TooLong {
        /// How many it has.
        n_chars: usize,
    },
    /// A character that can't be seen.
    #[error("the text has the invisible character U+{:04X} at place {place}: leave it out", u32::from(*found))]
    Invisible {
        /// The character.
        found: char,
        /// Its place, counted from 1.
        place: usize,
    },
}

impl FreeText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FreeText {
    type Error = InvalidText;

    /// Windows' line ends become line feeds.
    fn try_from(text: String) -> Result<Self, InvalidText> {
        let text = text.replace("\r\n", "\n").trim().to_owned();
        let n_chars = text.chars().count();
        if n_chars == 0 {
            return Err(InvalidText::Empty);
        }
        if n_chars > MAX_CHARS {
            return Err(InvalidText::TooLong { n_chars });
        }
        match text.chars().position(is_invisible).and_then(|index| Some((index, text.chars().nth(index)?))) {
            Some((index, found)) => Err(InvalidText::Invisible { found, place: index + 1 }),
            None => Ok(Self(text)),
        }
    }
}

impl From<FreeText> for String {
    fn from(text: FreeText) -> String {
        text.0
    }
}

impl fmt::Display for FreeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Controls, characters that change direction (Unicode TR 9), that join lines or that no font shows. The joiners U+200C
/// and U+200D stay: scripts and emoji need them.
fn is_invisible(c: char) -> bool {
    let is_control = c.is_control() && c != '\n';
    is_control
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, InvalidText> {
        FreeText::try_from(text.to_owned()).map(String::from)
    }

    #[test]
    fn what_people_write_is_taken() {
        let taken = [
            ("积水约10厘米，已设围挡。\n照片见附件", "积水约10厘米，已设围挡。\n照片见附件"),
            ("  space around it \r\n", "space around it"),
            ("two\r\nlines", "two\nlines"),
            ("👨‍👩‍👧", "👨‍👩‍👧"),
        ];
        for (text, expected) in taken {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text:?}");
        }
        assert!(read(&"水".repeat(MAX_CHARS)).is_ok());
    }

    #[test]
    fn what_hides_or_reorders_is_refused() {
        let refused = [
            ("", InvalidText::Empty),
            (" \n\u{3000}\t", InvalidText::Empty),
            ("a\0b", InvalidText::Invisible { found: '\0', place: 2 }),
            ("a\rb", InvalidText::Invisible { found: '\r', place: 2 }),
            ("水\u{202e}gpj.exe", InvalidText::Invisible { found: '\u{202e}', place: 2 }),
            ("a\u{2067}b", InvalidText::Invisible { found: '\u{2067}', place: 2 }),
            ("ab\u{e0041}", InvalidText::Invisible { found: '\u{e0041}', place: 3 }),
        ];
        for (text, expected) in refused {
            assert_eq!(read(text), Err(expected), "{text:?}");
        }
        assert_eq!(read(&"水".repeat(MAX_CHARS + 1)), Err(InvalidText::TooLong { n_chars: MAX_CHARS + 1 }));
        assert!(read("a\u{202e}").unwrap_err().to_string().contains("U+202E at place 2"));
    }

    proptest! {
        /// What was taken is taken again as it is, also through JSON, and shows all its characters.
        #[test]
        fn a_taken_text_stays_as_it_is(text in any::<String>()) {
            if let Ok(taken) = FreeText::try_from(text) {
                let n_chars = taken.as_str().chars().count();
                prop_assert!((1..=MAX_CHARS).contains(&n_chars));
                prop_assert!(!taken.as_str().chars().any(|c| c != '\n' && c.is_control()));
                let json = serde_json::to_string(&taken).unwrap();
                prop_assert_eq!(serde_json::from_str::<FreeText>(&json).unwrap(), taken);
            }
        }

        #[test]
        fn one_invisible_character_anywhere_is_found(head in "[a-z 水]{0,20}", tail in "[a-z 水]{0,20}", code in 0x202au32..=0x202e) {
            let hidden = char::from_u32(code).unwrap();
            let refused = matches!(read(&format!("x{head}{hidden}{tail}x")), Err(InvalidText::Invisible { found, .. }) if found == hidden);
            prop_assert!(refused);
        }
    }
}
