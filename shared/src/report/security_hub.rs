//! The finding's copy in Security Hub: looked up, and noted without waking ourselves up again (CONTAINMENT D5).

use serde_json::{Value, json};

use crate::aws::{Call, Fault, JsonService};
use crate::event::UPDATED_BY;
use crate::finding::Finding;
use crate::id::FindingId;
use crate::outcome::Status;
use crate::text::printable;

/// The finding as Security Hub has it, in the AWS Security Finding Format, by id and, where given, product.
///
/// # Errors
/// When Security Hub does not answer or is not enabled.
pub async fn find(hub: &JsonService, id: &FindingId, product: Option<&str>) -> Result<Option<Value>, Fault> {
    let equals = |value: &str| json!([{ "Value": value, "Comparison": "EQUALS" }]);
    let mut filters = json!({ "Id": equals(id.as_str()) });
    if let Some(product) = product {
        filters["ProductArn"] = equals(product);
    }
    let call = Call {
        operation: "GetFindings",
        method: "POST",
        path: "/findings".to_owned(),
        target: None,
        body: json!({ "Filters": filters, "MaxResults": 2 }),
    };
    let mut answer = hub.call(None, call).await?;
    let found = answer.get_mut("Findings").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    // Filtered again: what comes back must be what was asked for.
    let is_asked_for =
        |found: &Value| found["Id"] == *id.as_str() && product.is_none_or(|product| found["ProductArn"] == *product);
    Ok(found.into_iter().find(is_asked_for))
}

/// Notes the outcome on the finding and marks it NOTIFIED, unless a person has given it another status.
///
/// Best effort: GuardDuty's copy may not have arrived, Security Hub may be off. The status says so.
pub async fn note(hub: &JsonService, finding: &Finding, text: &str) -> Status {
    let product = finding.product.as_deref().filter(|product| product.contains("::product/"));
    let found = match find(hub, &finding.id, product).await {
        Ok(Some(found)) => found,
        Ok(None) => return Status::Skipped("Security Hub has no copy of this finding yet".to_owned()),
        Err(fault) => return Status::Failed(fault.to_string()),
    };
    let mut body = json!({
        "FindingIdentifiers": [{ "Id": found["Id"], "ProductArn": found["ProductArn"] }],
        "Note": { "Text": text, "UpdatedBy": UPDATED_BY },
    });
    if found["Workflow"]["Status"] == "NEW" {
        // NOTIFIED, never RESOLVED: contained is not remediated.
        body["Workflow"] = json!({ "Status": "NOTIFIED" });
    }
    let path = "/findings/batchupdate".to_owned();
    let call = Call { operation: "BatchUpdateFindings", method: "PATCH", path, target: None, body };
    match hub.call(None, call).await {
        Ok(answer) => match answer["UnprocessedFindings"].get(0) {
            Some(refused) => {
                let text = |field: &str| refused[field].as_str().unwrap_or_default().to_owned();
                Status::Failed(printable(&format!("{}: {}", text("ErrorCode"), text("ErrorMessage")), 200))
            }
            None => Status::Done,
        },
        Err(fault) => Status::Failed(fault.to_string()),
    }
}
