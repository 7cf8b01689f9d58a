//! What sensors measure, and how their units become the one unit that rules and people read.
//!
//! A kind may be measured in several ways that can't be turned into each other (gas in ppm or in % of the explosive limit, smoke
//! as obscuration or as an alarm contact); each way has its own quantity, so that no rule compares what can't be compared.

use std::f64::consts::PI;

/// What a sensor watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Water in a road, an underpass, a river.
    WaterLevel,
    /// Smoke.
    Smoke,
    /// Combustible or toxic gas.
    Gas,
    /// How far a manhole cover is tilted.
    ManholeTilt,
    /// A door or cabinet.
    Door,
    /// Temperature.
    Temperature,
}

/// One way to measure a kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// The unit as settings write it.
    pub written: &'static str,
    /// The quantity on the wire.
    pub quantity: &'static str,
    /// The unit on the wire (UCUM).
    pub unit: &'static str,
    /// True for an on/off value: 1 is open or alarm, 0 is closed or quiet.
    pub is_state: bool,
    /// What is physically possible, in the unit on the wire.
    pub range: (f64, f64),
    scale: f64,
    offset: f64,
}

impl Measure {
    /// A value of the written unit in the unit on the wire.
    pub fn canonical(&self, value: f64) -> f64 {
        let exact = value * self.scale + self.offset;
        // 41 cm are 0.41 m, not 0.41000000000000003.
        if exact.abs() < 1e6 { (exact * 1e9).round() / 1e9 } else { exact }
    }

    /// A difference of the written unit in the unit on the wire.
    pub fn canonical_change(&self, change: f64) -> f64 {
        (change * self.scale).abs()
    }
}

impl Kind {
    /// All kinds with their names in settings.
    pub const ALL: [(&'static str, Kind); 6] = [
        ("water_level", Kind::WaterLevel),
        ("smoke", Kind::Smoke),
        ("gas", Kind::Gas),
        ("manhole_tilt", Kind::ManholeTilt),
        ("door", Kind::Door),
        ("temperature", Kind::Temperature),
    ];

    /// The name in settings and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::WaterLevel => "water_level",
            Kind::Smoke => "smoke",
            Kind::Gas => "gas",
            Kind::ManholeTilt => "manhole_tilt",
            Kind::Door => "door",
            Kind::Temperature => "temperature",
        }
    }

    /// The ways to measure it.
    pub fn measures(self) -> &'static [Measure] {
        match self {
            Kind::WaterLevel => &WATER_LEVEL,
            Kind::Smoke => &SMOKE,
            Kind::Gas => &GAS,
            Kind::ManholeTilt => &MANHOLE_TILT,
            Kind::Door => &DOOR,
            Kind::Temperature => &TEMPERATURE,
        }
    }

    /// The way to measure it that this unit means.
    pub fn measure(self, unit: &str) -> Option<Measure> {
        self.measures().iter().find(|measure| measure.written == unit).copied()
    }

    /// The unit when settings name none: only where there is no choice.
    pub fn only_measure(self) -> Option<Measure> {
        match self.measures() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

const WATER_LEVEL: [Measure; 4] = [
    scaled("m", ("water_level", "m"), 1.0, METRES),
    scaled("dm", ("water_level", "m"), 0.1, METRES),
    scaled("cm", ("water_level", "m"), 0.01, METRES),
    scaled("mm", ("water_level", "m"), 0.001, METRES),
];
const SMOKE: [Measure; 3] = [
    scaled("%/m", ("smoke", "%/m"), 1.0, (0.0, 100.0)),
    scaled("ppm", ("smoke_ppm", "[ppm]"), 1.0, (0.0, 1e6)),
    state("alarm", "smoke_alarm"),
];
const GAS: [Measure; 5] = [
    scaled("ppm", ("gas", "[ppm]"), 1.0, (0.0, 1e6)),
    scaled("ppb", ("gas", "[ppm]"), 0.001, (0.0, 1e6)),
    scaled("%vol", ("gas", "[ppm]"), 1e4, (0.0, 1e6)),
    scaled("%LEL", ("gas_lel", "%{LEL}"), 1.0, (0.0, 100.0)),
    state("alarm", "gas_alarm"),
];
const MANHOLE_TILT: [Measure; 3] = [
    scaled("deg", ("manhole_tilt", "deg"), 1.0, (-180.0, 180.0)),
    scaled("rad", ("manhole_tilt", "deg"), 180.0 / PI, (-180.0, 180.0)),
    state("open", "manhole_open"),
];
const DOOR: [Measure; 1] = [state("open", "door")];
const TEMPERATURE: [Measure; 3] = [
    scaled("C", ("temperature", "Cel"), 1.0, CELSIUS),
    Measure { offset: -32.0 * 5.0 / 9.0, ..scaled("F", ("temperature", "Cel"), 5.0 / 9.0, CELSIUS) },
    Measure { offset: -273.15, ..scaled("K", ("temperature", "Cel"), 1.0, CELSIUS) },
];

const METRES: (f64, f64) = (-100.0, 1000.0);
const CELSIUS: (f64, f64) = (-90.0, 1500.0);

const fn scaled(
    written: &'static str,
    (quantity, unit): (&'static str, &'static str),
    scale: f64,
    range: (f64, f64),
) -> Measure {
    Measure { written, quantity, unit, is_state: false, range, scale, offset: 0.0 }
}

const fn state(written: &'static str, quantity: &'static str) -> Measure {
    Measure { written, quantity, unit: "1", is_state: true, range: (0.0, 1.0), scale: 1.0, offset: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_the_unit_on_the_wire() {
        let check = |kind: Kind, unit: &str, value: f64, expected: (&str, f64, &str)| {
            let measure = kind.measure(unit).unwrap();
            assert!((measure.canonical(value) - expected.1).abs() < 1e-9, "{value} {unit}");
            assert_eq!((measure.quantity, measure.unit), (expected.0, expected.2));
        };
        check(Kind::WaterLevel, "cm", 123.0, ("water_level", 1.23, "m"));
        check(Kind::WaterLevel, "mm", 1.0, ("water_level", 0.001, "m"));
        check(Kind::Gas, "%vol", 0.5, ("gas", 5000.0, "[ppm]"));
        check(Kind::Gas, "%LEL", 20.0, ("gas_lel", 20.0, "%{LEL}"));
        check(Kind::Temperature, "F", 212.0, ("temperature", 100.0, "Cel"));
        check(Kind::Temperature, "K", 273.15, ("temperature", 0.0, "Cel"));
        check(Kind::ManholeTilt, "rad", PI, ("manhole_tilt", 180.0, "deg"));
        check(Kind::Door, "open", 1.0, ("door", 1.0, "1"));
        assert_eq!(Kind::WaterLevel.measure("cm").unwrap().canonical(41.0), 0.41);
        assert_eq!(Kind::WaterLevel.measure("fathom"), None);
    }

    #[test]
    fn every_quantity_and_unit_fits_the_wire() {
        for (_, kind) in Kind::ALL {
            for measure in kind.measures() {
                assert!(measure.unit.chars().count() <= 16 && !measure.unit.is_empty());
                assert!(measure.quantity.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
                assert!(measure.range.0 < measure.range.1);
            }
        }
    }
}
