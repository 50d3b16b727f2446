//! What every resource says of itself that we make: which case it belongs to and who made it (DESIGN §5.2).

use serde::{Deserialize, Serialize};

use crate::id::{CaseId, FindingId};

/// The longest value of a tag, in characters (CONTAINMENT E).
const LONGEST_TAG_VALUE: usize = 256;

/// The key of the tag that names the case.
pub const INCIDENT_TAG: &str = "ir:incident";

/// Where something we make comes from. A tag is a pointer, not proof: whoever may tag resources writes tags too
/// (CONTAINMENT E).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The case.
    pub case: CaseId,
    /// The finding that opened it.
    pub finding: FindingId,
}

impl Origin {
    /// The tags, key and value: `ir:incident`, `ir:source`, `ir:collected-by`.
    #[must_use]
    pub fn tags(&self) -> Vec<(String, String)> {
        let source = self.finding.as_str().chars().take(LONGEST_TAG_VALUE).collect();
        vec![(INCIDENT_TAG.to_owned(), self.case.to_string()), ("ir:source".to_owned(), source), collected_by()]
    }
}

/// The tag that says who made a resource.
pub(super) fn collected_by() -> (String, String) {
    ("ir:collected-by".to_owned(), concat!("tourniquet ", env!("CARGO_PKG_VERSION")).to_owned())
}
