//! The case report: one page of HTML, made of a case's ledger, that needs nothing beside itself and can be printed.

mod facts;
mod html;
mod release;
mod response;
mod sections;
mod style;
mod timeline;

use facts::Facts;
pub use html::Html;

use crate::case::{Broken, CaseId, ChainReport, Entry};
use crate::timestamp::Timestamp;

/// What a page is made of.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The case.
    pub case: &'a CaseId,
    /// Its ledger, in order.
    pub entries: &'a [Entry],
    /// Where it is kept: `s3://bucket`, or the folder of a copy.
    pub place: &'a str,
    /// What is known of the ledger's hash chain.
    pub chain: Chain<'a>,
    /// When the page is made.
    pub made: Timestamp,
    /// By what: a function's ARN, or the command line.
    pub made_by: &'a str,
}

/// What is known of the hash chain.
#[derive(Debug, Clone, Copy)]
pub enum Chain<'a> {
    /// Recomputed over the stored objects by whoever made the page.
    Holds(&'a ChainReport),
    /// Recomputed, and broken.
    Broken(&'a Broken),
    /// Not recomputed: the function that writes the ledger cannot vouch for it.
    NotChecked,
}

/// The page; nothing for a ledger without an entry that says what the case is about.
#[must_use]
pub fn page(page: Page<'_>) -> Option<String> {
    let facts = Facts::of(page)?;
    let mut html = Html::default();
    html.markup(style::HEAD);
    html.element("<title>", &format!("{} {}", page.case, facts.name()), "</title>\n");
    html.markup(style::STYLE).markup("</head>\n<body>\n");
    html.piece(&sections::head(&facts)).markup("<main>\n");
    html.piece(&timeline::picture(&facts));
    for section in [
        sections::finding(&facts),
        sections::done(&facts),
        sections::not_covered(&facts),
        sections::since(&facts),
        release::release(&facts),
        sections::undo(&facts),
        sections::evidence(&facts),
        sections::ledger(&facts),
        sections::chain(&facts),
        response::by_role(),
        sections::original(&facts),
    ] {
        html.piece(&section);
    }
    html.markup("</main>\n").piece(&sections::foot(&facts)).markup("</body>\n</html>\n");
    Some(html.into_string())
}
