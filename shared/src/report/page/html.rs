//! Markup in which text of a finding stays text.

use std::fmt::Write as _;

use crate::text::printable;

/// The longest text of one element: an original state is long, a finding's field that is longer is an attack.
const LONGEST: usize = 60_000;

/// A piece of a page. Markup comes from the code alone: whatever is known only at run time is no `&'static str`, so the
/// one way in is [`Html::text`], which makes it printable, redacts access keys and escapes it.
///
/// ```compile_fail
/// use tourniquet::report::page::Html;
///
/// fn of_a_finding(title: &str) {
///     Html::default().markup(title);
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Markup of the page's own.
    pub fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, on one line.
    pub fn text(&mut self, text: &str) -> &mut Self {
        for character in printable(text, LONGEST).chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// Text that keeps its line breaks.
    pub fn lines(&mut self, text: &str) -> &mut Self {
        for line in text.lines() {
            self.text(line).markup("\n");
        }
        self
    }

    /// A number, such as a coordinate.
    pub fn number(&mut self, number: usize) -> &mut Self {
        // Writing to a String cannot fail.
        write!(self.0, "{number}").unwrap_or_default();
        self
    }

    /// An element that holds text.
    pub fn element(&mut self, open: &'static str, text: &str, close: &'static str) -> &mut Self {
        self.markup(open).text(text).markup(close)
    }

    /// Another piece.
    pub fn piece(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The whole.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}
