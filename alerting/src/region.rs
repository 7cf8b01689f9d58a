//! Region codes: which code lies in which region, by the deployer's scheme of code lengths (RULES B, DESIGN 6).
//!
//! In: digits. Out: levels, ancestors, cover. Invariant: only a code whose length is a level of the scheme covers anything,
//! itself and every longer code that begins with it; any other prefix covers nothing. Not here: names of regions.

use xueliang_settings::Reader;

/// City, county, township, community, grid.
const DEFAULT: [usize; 5] = [4, 6, 9, 12, 15];
const MAX_LEVELS: usize = 8;
/// The longest code of the wire contract.
const MAX_DIGITS: usize = 20;

/// The lengths that codes of a deployment have, from the widest region to the narrowest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionScheme(Vec<usize>);

/// Why something is no scheme, or no code of this one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// No lengths, or too many.
    #[error("a region scheme has 1 to {MAX_LEVELS} code lengths, such as [4, 6, 9, 12, 15]")]
    Levels,
    /// A length that doesn't grow, or is too long.
    #[error("the lengths of a region scheme grow and are at most {MAX_DIGITS}; {0} is not")]
    Length(usize),
    /// Something else than digits.
    #[error("{0:?} is no region code: write digits only")]
    Digits(String),
    /// No level has this length.
    #[error("{code:?} has {} digits; a code of this scheme has {lengths}", code.len())]
    Level {
        /// The code.
        code: String,
        /// The lengths that are known.
        lengths: String,
    },
}

impl Default for RegionScheme {
    fn default() -> Self {
        Self(DEFAULT.to_vec())
    }
}

impl RegionScheme {
    /// A scheme of these lengths.
    pub fn new(lengths: &[usize]) -> Result<Self, RegionError> {
        if lengths.is_empty() || lengths.len() > MAX_LEVELS {
            return Err(RegionError::Levels);
        }
        let mut longest = 0;
        for &length in lengths {
            if length <= longest || length > MAX_DIGITS {
                return Err(RegionError::Length(length));
            }
            longest = length;
        }
        Ok(Self(lengths.to_vec()))
    }

    /// Reads `region_scheme = [4, 6, 9, 12, 15]`; the default where it is left out.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let Some(lengths) = reader.optional::<Vec<usize>>("region_scheme") else { return Self::default() };
        Self::new(&lengths).unwrap_or_else(|error| {
            reader.refuse("region_scheme", error.to_string(), "write growing lengths, such as [4, 6, 9, 12, 15]");
            Self::default()
        })
    }

    /// The level of a code, 0 for the widest, or why it is no code of this scheme.
    pub fn level(&self, code: &str) -> Result<usize, RegionError> {
        if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RegionError::Digits(code.chars().take(40).collect()));
        }
        self.0.iter().position(|length| *length == code.len()).ok_or_else(|| {
            let lengths: Vec<String> = self.0.iter().map(ToString::to_string).collect();
            RegionError::Level { code: code.chars().take(40).collect(), lengths: lengths.join(", ") }
        })
    }

    /// The regions in which a code lies, widest first, itself among them when it is a region.
    ///
    /// A code of digits that is itself no level, such as a device's longer grid code, still lies in its regions, so that nothing
    /// falls out of everybody's sight.
    pub fn lineage<'c>(&self, code: &'c str) -> impl Iterator<Item = &'c str> + use<'c, '_> {
        let code = if code.bytes().all(|byte| byte.is_ascii_digit()) { code } else { "" };
        self.0.iter().filter_map(move |length| code.get(..*length))
    }

    /// The regions above a code, widest first.
    pub fn ancestors<'c>(&self, code: &'c str) -> impl Iterator<Item = &'c str> + use<'c, '_> {
        self.lineage(code).filter(move |region| region.len() < code.len())
    }

    /// The region next above a code; `None` at the top.
    pub fn parent<'c>(&self, code: &'c str) -> Option<&'c str> {
        self.ancestors(code).last()
    }

    /// The narrowest region in which both codes lie; `None` when they share none.
    pub fn common<'c>(&self, one: &'c str, other: &str) -> Option<&'c str> {
        self.lineage(one).take_while(|region| self.covers(region, other)).last()
    }

    /// True when a code lies in this region.
    pub fn covers(&self, region: &str, code: &str) -> bool {
        self.lineage(code).any(|known| known == region)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_cover_what_lies_in_them_and_nothing_else() {
        let check = |region: &str, code: &str, covers: bool| {
            assert_eq!(RegionScheme::default().covers(region, code), covers, "{region} {code}");
        };
        check("3402", "3402", true);
        check("3402", "340203", true);
        check("3402", "340203001002003", true);
        check("340203", "340203001002003", true);
        check("340203001002003", "340203001002003", true);
        check("340203", "3402", false);
        check("340203", "340204001", false);
        // Prefixes that are no level.
        check("34", "340203", false);
        check("34020", "340203", false);
        check("", "340203", false);
        check("3402030", "3402030", false);
        // No level itself, but in a region.
        check("340203", "3402030", true);
        check("3402", "34020300100200300001", true);
        check("3402", "34020x", false);
        check("3402", "3402é", false);
    }

    #[test]
    fn schemes_of_other_standards_are_read() {
        let check = |lengths: &[usize], expected: Result<(), RegionError>| {
            assert_eq!(RegionScheme::new(lengths).map(|_| ()), expected, "{lengths:?}");
        };
        check(&[2, 4, 6, 9, 12, 15, 20], Ok(()));
        check(&[6, 9, 12, 14], Ok(()));
        check(&[], Err(RegionError::Levels));
        check(&[1, 2, 3, 4, 5, 6, 7, 8, 9], Err(RegionError::Levels));
        check(&[4, 4], Err(RegionError::Length(4)));
        check(&[6, 4], Err(RegionError::Length(4)));
        check(&[0, 4], Err(RegionError::Length(0)));
        check(&[4, 21], Err(RegionError::Length(21)));
    }

    #[test]
    fn refused_codes_say_what_is_allowed() {
        let check = |code: &str, expected: &str| {
            let error = RegionScheme::default().level(code).unwrap_err().to_string();
            assert_eq!(error, expected);
        };
        check("34020", r#""34020" has 5 digits; a code of this scheme has 4, 6, 9, 12, 15"#);
        check("34-2", r#""34-2" is no region code: write digits only"#);
        check("", r#""" is no region code: write digits only"#);
    }

    #[test]
    fn settings_name_the_scheme() {
        let read = |text: &str| {
            let document = xueliang_settings::Document::from_text("xueliang.toml", text);
            document.read(|reader| Some(RegionScheme::read(reader)))
        };
        assert_eq!(read("").unwrap(), RegionScheme::default());
        assert_eq!(read("region_scheme = [6, 14]").unwrap(), RegionScheme(vec![6, 14]));
        assert!(read("region_scheme = [14, 6]").unwrap_err().to_string().contains("6 is not"));
        assert!(read("region_scheme = 4").is_err());
    }

    fn scheme() -> impl Strategy<Value = RegionScheme> {
        proptest::collection::btree_set(1..=MAX_DIGITS, 1..=MAX_LEVELS)
            .prop_map(|lengths| RegionScheme(lengths.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn cover_is_a_tree(scheme in scheme(), a in "[01]{0,20}", b in "[01]{0,20}", c in "[01]{0,20}") {
            prop_assert!(RegionScheme::new(&scheme.0).is_ok());
            // A region covers itself, everything below it, and only what begins with it.
            prop_assert_eq!(scheme.covers(&a, &a), scheme.level(&a).is_ok());
            prop_assert_eq!(scheme.covers(&a, &b), scheme.level(&a).is_ok() && b.starts_with(&a));
            if scheme.covers(&a, &b) && scheme.covers(&b, &c) {
                prop_assert!(scheme.covers(&a, &c));
            }
            // Two regions that cover the same code cover one another.
            if scheme.covers(&a, &c) && scheme.covers(&b, &c) {
                prop_assert!(scheme.covers(&a, &b) || scheme.covers(&b, &a));
            }
        }

        #[test]
        fn parents_lead_to_the_top(scheme in scheme(), code in "[0-9]{1,20}") {
            let ancestors: Vec<&str> = scheme.ancestors(&code).collect();
            let mut climbed = Vec::new();
            let mut at = code.as_str();
            while let Some(parent) = scheme.parent(at) {
                prop_assert!(scheme.covers(parent, &code) && parent.len() < at.len());
                climbed.insert(0, parent);
                at = parent;
            }
            prop_assert_eq!(&climbed, &ancestors);
            if let Ok(level) = scheme.level(&code) {
                prop_assert_eq!(level, ancestors.len());
            }
        }

        #[test]
        fn no_text_breaks_it(scheme in scheme(), region in ".{0,24}", code in ".{0,24}") {
            let covers = scheme.covers(&region, &code);
            prop_assert!(!covers || code.starts_with(&region));
        }
    }
}
