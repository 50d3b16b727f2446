//! Who does what next, by the phases of NIST SP 800-61. The names are the reader's to write: nobody here knows them.

use super::html::Html;

/// Role, phase, what is to be done.
const ROLES: [(&str, &str, &str); 6] = [
    (
        "Incident lead",
        "Containment",
        "Read what is not covered above. Decide whether that is acceptable until the cause is known. Assign the lines below.",
    ),
    (
        "Analyst",
        "Detection and analysis",
        "Find in CloudTrail how the credential or the machine was taken, and everything it did since first seen. Look for what it made.",
    ),
    ("Account owner", "Containment", "Say what breaks while this holds, and move it to another credential or machine."),
    ("Account owner", "Eradication", "Close the way in: rotate, rebuild from a known image, remove what the analyst found."),
    (
        "Incident lead",
        "Recovery",
        "Undo this case only when the cause is closed, newest step first. Watch the target for a week.",
    ),
    (
        "Evidence keeper",
        "Post-incident activity",
        "Verify the chain again, keep the case folder and the snapshots, write down what should have been seen earlier.",
    ),
];

pub(super) fn by_role() -> Html {
    let mut html = Html::default();
    html.markup("<section>\n<h2>Contacts and next steps by role</h2>\n<table>\n<thead><tr>");
    html.markup("<th class=\"middle\">Role, and who it is</th><th class=\"middle\">Phase (NIST SP 800-61)</th><th>What</th></tr></thead>\n");
    for (role, phase, what) in ROLES {
        html.element("<tr><td>", role, "<div class=\"blank\"></div></td>");
        html.element("<td>", phase, "</td>").element("<td>", what, "</td></tr>\n");
    }
    html.markup("</table>\n</section>\n");
    html
}
