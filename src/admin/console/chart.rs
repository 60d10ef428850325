//! Charts: SVG of numbers, with a scale in text beside it, and what they show in words for who cannot see them.

use jiff::Timestamp;
use maud::{Markup, html};

use super::shown::{number, plural};
use crate::admin::board::Attempts;

/// A line of a chart.
pub struct Line {
    /// What it shows.
    pub name: &'static str,
    /// Its color, as a class.
    pub class: &'static str,
    /// Its points, from the oldest to the newest.
    pub points: Vec<i64>,
}

/// A chart of lines over time with one scale.
pub fn lines(title: &str, from: Timestamp, until: Timestamp, lines: &[Line]) -> Markup {
    let most = lines.iter().flat_map(|line| &line.points).copied().max().unwrap_or_default().max(1);
    let last = |line: &Line| line.points.last().copied().unwrap_or_default();
    let said: Vec<String> = lines.iter().map(|line| format!("{} {} now", number(last(line)), line.name)).collect();
    html! {
        figure class="chart" {
            figcaption {
                (title)
                @for line in lines { span class=(format!("legend {}", line.class)) { (line.name) } }
            }
            div class="plot" {
                span class="most" { (number(most)) }
                span class="least" { "0" }
                svg viewBox="0 0 600 100" preserveAspectRatio="none" role="img"
                    aria-label=(format!("{title}: at most {}; {}", number(most), said.join(", "))) {
                    line class="grid" x1="0" y1="1" x2="600" y2="1" {}
                    line class="grid" x1="0" y1="50" x2="600" y2="50" {}
                    line class="grid" x1="0" y1="99" x2="600" y2="99" {}
                    @for line in lines {
                        polyline class=(line.class) points=(points(&line.points, most)) {}
                    }
                }
                span class="from" { (from.strftime("%H:%M")) }
                span class="until" { (until.strftime("%H:%M")) " UTC" }
            }
        }
    }
}

fn points(values: &[i64], most: i64) -> String {
    let width = values.len().max(2) - 1;
    let place = |(place, value): (usize, &i64)| {
        format!("{:.1},{:.1}", 600.0 * place as f64 / width as f64, 99.0 - 98.0 * *value as f64 / most as f64)
    };
    let points: Vec<String> = values.iter().enumerate().map(place).collect();
    match points.as_slice() {
        [only] => format!("0,{0} 600,{0}", only.split(',').next_back().unwrap_or("99")),
        _ => points.join(" "),
    }
}

/// Attempts of the last hour, five minutes a bar: what was delivered, and what failed above it.
pub fn bars(attempts: &Attempts) -> Markup {
    let most = attempts.parts().iter().map(|(delivered, failed)| delivered + failed).max().unwrap_or_default().max(1);
    let (delivered, failed) = attempts.sum();
    let said = format!(
        "In the last hour {} and {}; at most {} in five minutes",
        plural(delivered, "delivery", "deliveries"),
        plural(failed, "failed attempt", "failed attempts"),
        number(most),
    );
    html! {
        svg class="bars" viewBox="0 0 120 24" role="img" aria-label=(said) {
            title { (said) }
            line class="base" x1="0" y1="23.5" x2="120" y2="23.5" {}
            @for (part, (delivered, failed)) in attempts.parts().iter().enumerate().filter(|(_, sum)| **sum != (0, 0)) {
                @let delivered = 22.0 * *delivered as f64 / most as f64;
                @let failed = 22.0 * *failed as f64 / most as f64;
                rect class="good" x=(part * 10 + 1) width="8" y=(24.0 - delivered) height=(delivered) {}
                rect class="bad" x=(part * 10 + 1) width="8" y=(24.0 - delivered - failed) height=(failed) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_edge_to_edge() {
        assert_eq!(points(&[0, 5, 10], 10), "0.0,99.0 300.0,50.0 600.0,1.0");
        assert_eq!(points(&[4], 4), "0,1.0 600,1.0");
        assert_eq!(points(&[], 1), "");
    }
}
