//! Plots as inline SVG: bars and lines, readable in light and dark, without any library or outside resource.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 32.0;
const RIGHT: f64 = 24.0;
/// Lines of more points are drawn without dots.
const MOST_DOTS: usize = 24;
const COLOURS: [&str; 6] = ["#2f6fb3", "#c2571a", "#3b8f4e", "#8a4fb0", "#a8861d", "#5b6b7a"];

/// One line of a plot.
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points, in order of x.
    pub points: Vec<(f64, f64)>,
}

/// Lines over common axes.
pub fn lines(x_label: &str, y_label: &str, all: &[Series]) -> String {
    let points = || all.iter().flat_map(|series| &series.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let x_max = nice(points().map(|(x, _)| *x).fold(0.0, f64::max));
    let y_max = nice(points().map(|(_, y)| *y).fold(0.0, f64::max));
    let x_of = |x: f64| LEFT + (WIDTH - LEFT - RIGHT) * x / x_max;
    let y_of = |y: f64| HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * y / y_max;
    let mut svg = axes(x_label, y_label, y_max);
    for tick in 0..=4 {
        let x = x_max * f64::from(tick) / 4.0;
        text(&mut svg, (x_of(x), HEIGHT - BOTTOM + 16.0), "middle", &short(x));
    }
    for (nth, series) in all.iter().enumerate() {
        let colour = COLOURS[nth % COLOURS.len()];
        let path: Vec<String> = series.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_of(*x), y_of(*y))).collect();
        let _ =
            write!(svg, r#"<polyline fill="none" stroke="{colour}" stroke-width="2" points="{}"/>"#, path.join(" "));
        for (x, y) in series.points.iter().filter(|_| series.points.len() <= MOST_DOTS) {
            let _ = write!(svg, r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{colour}"/>"#, x_of(*x), y_of(*y));
        }
    }
    legend(&mut svg, all);
    svg + "</svg>"
}

/// One bar for each value.
pub fn bars(x_label: &str, y_label: &str, values: &[(String, f64)]) -> String {
    let y_max = nice(values.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).fold(0.0, f64::max));
    let step = (WIDTH - LEFT - RIGHT) / values.len().max(1) as f64;
    let mut svg = axes(x_label, y_label, y_max);
    for (nth, (label, value)) in values.iter().enumerate() {
        let height = (HEIGHT - BOTTOM - TOP) * (value / y_max).clamp(0.0, 1.0);
        let (x, y) = (LEFT + step * nth as f64, HEIGHT - BOTTOM - height);
        let colour = COLOURS[0];
        let _ = write!(
            svg,
            r#"<rect x="{:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}" fill="{colour}"><title>{}: {}</title></rect>"#,
            x + step * 0.12,
            step * 0.76,
            escaped(label),
            short(*value)
        );
        text(&mut svg, (x + step / 2.0, HEIGHT - BOTTOM + 16.0), "middle", label);
        text(&mut svg, (x + step / 2.0, y - 3.0), "middle", &short(*value));
    }
    svg + "</svg>"
}

fn axes(x_label: &str, y_label: &str, y_max: f64) -> String {
    let mut svg = format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">"#);
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        let y = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share;
        let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}"/>"#, WIDTH - RIGHT);
        text(&mut svg, (LEFT - 6.0, y + 4.0), "end", &short(y_max * share));
    }
    text(&mut svg, ((LEFT + WIDTH) / 2.0, HEIGHT - 8.0), "middle", x_label);
    let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
    let _ = write!(
        svg,
        r#"<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{}</text>"#,
        escaped(y_label)
    );
    svg
}

/// A swatch and the name of each line, above the plot and never across it.
fn legend(svg: &mut String, all: &[Series]) {
    let step = (WIDTH - LEFT - RIGHT) / all.len().max(1) as f64;
    for (nth, series) in all.iter().enumerate() {
        let (x, colour) = (LEFT + step * nth as f64, COLOURS[nth % COLOURS.len()]);
        let _ = write!(svg, r#"<rect x="{x:.1}" y="8" width="10" height="10" fill="{colour}"/>"#);
        text(svg, (x + 15.0, 17.0), "start", &series.name);
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    // Writing to a string can't fail.
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escaped(words));
}

/// The next round number, so that ticks are readable.
fn nice(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].iter().map(|step| step * power).find(|bound| *bound >= most).unwrap_or(most)
}

fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 1.0 => 1,
        size if size >= 0.01 => 3,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Text that can stand in HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_numbers_stay_finite() {
        let svg = bars("<x>", "y & z", &[("a<b".to_owned(), 1.0), ("odd".to_owned(), f64::NAN)]);
        assert!(svg.contains("a&lt;b") && svg.contains("y &amp; z") && !svg.contains("<x>"), "{svg}");
        let empty = lines("x", "y", &[Series { name: "none".to_owned(), points: Vec::new() }]);
        assert!(empty.ends_with("</svg>") && !empty.contains("NaN"), "{empty}");
    }

    #[test]
    fn bounds_are_round() {
        for (most, expected) in [(0.0, 1.0), (0.7, 0.8), (3.0, 4.0), (130.0, 200.0), (1000.0, 1000.0)] {
            assert!((nice(most) - expected).abs() < 1e-9, "{most}: {}", nice(most));
        }
    }
}
