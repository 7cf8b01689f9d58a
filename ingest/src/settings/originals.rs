//! `[ingest.sealed_originals]`: to whom the worker seals what its snapshots were made of; without the table it seals nothing.

use std::time::Duration;

use xueliang_inference::seal::SealingKey;
use xueliang_settings::Reader;

use crate::snapshots::MAX_AGE;

const HOUR: Duration = Duration::from_secs(3600);

/// How originals are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedOriginals {
    /// The public key; the centre holds the private one.
    pub recipient: SealingKey,
    /// The impact assessment of this purpose (RULES P30).
    pub assessment: String,
    /// How long one stays that no incident links.
    pub keep: Duration,
}

impl SealedOriginals {
    /// Reads the table; `None` when it isn't there. A mistake in it is reported and seals nothing.
    pub fn read(ingest: &mut Reader<'_>) -> Option<Self> {
        let is_written = ingest.has("sealed_originals");
        let mut table = ingest.section("sealed_originals");
        if !is_written {
            return None;
        }
        let recipient = table.required_text("recipient");
        let assessment = table.required::<String>("assessment");
        if assessment.as_ref().is_some_and(|number| number.trim().is_empty()) {
            table.refuse(
                "assessment",
                "is empty",
                "write the number of the impact assessment that covers sealed originals",
            );
        }
        let keep = table.or("keep", MAX_AGE);
        if !(HOUR..=MAX_AGE).contains(&keep) {
            let cure = "write \"1h\" to \"72h\"; what an incident shows stays as long as its snapshot";
            table.refuse("keep", "is out of bounds", cure);
        }
        table.finish();
        Some(Self { recipient: recipient?, assessment: assessment?, keep })
    }
}

#[cfg(test)]
mod tests {
    use xueliang_settings::Document;

    use super::*;

    const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    /// The private key of the specification's example; it belongs to nobody.
    const PRIVATE: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

    fn read(text: &str) -> Result<Option<SealedOriginals>, String> {
        let read = Document::from_text("x.toml", text).read(|ingest| Some(SealedOriginals::read(ingest)));
        read.map_err(|mistakes| mistakes.to_string())
    }

    fn table(recipient: &str, more: &str) -> String {
        format!("[sealed_originals]\nrecipient = \"{recipient}\"\n{more}")
    }

    #[test]
    fn sealed_originals_are_off_by_default() {
        assert_eq!(read(""), Ok(None));
        let written = read(&table(RECIPIENT, "assessment = \"PIA-7\"\n")).unwrap().unwrap();
        assert_eq!((written.assessment.as_str(), written.keep), ("PIA-7", MAX_AGE));
        assert_eq!(read(&table(RECIPIENT, "assessment = \"7\"\nkeep = \"1h\"\n")).unwrap().unwrap().keep, HOUR);
    }

    #[test]
    fn p30_mistakes_name_their_cure_and_no_secret() {
        let check = |text: &str, expected: &str| {
            let told = read(text).unwrap_err();
            assert!(told.contains(expected), "{expected:?} is not in {told}");
            assert!(!told.contains(&PRIVATE[20..30]) && !told.contains(&PRIVATE.to_lowercase()[20..30]), "{told}");
        };
        let assessed = "assessment = \"PIA-7\"\n";
        check(&table(RECIPIENT, ""), "sealed_originals.assessment: is missing");
        check(&table(RECIPIENT, "assessment = \" \"\n"), "number of the impact assessment");
        check("[sealed_originals]\nassessment = \"7\"\n", "sealed_originals.recipient: is missing");
        check(&table(PRIVATE, assessed), "x.toml:2: sealed_originals.recipient: is a private key");
        check(&table(&PRIVATE.to_lowercase(), assessed), "is a private key");
        check(&table("somebody", assessed), "is no age public key");
        for keep in ["73h", "59m", "forever", "0s"] {
            check(&table(RECIPIENT, &format!("{assessed}keep = \"{keep}\"\n")), "sealed_originals.keep");
        }
        check(&table(RECIPIENT, &format!("{assessed}key = \"{PRIVATE}\"\n")), "unknown key");
    }
}
