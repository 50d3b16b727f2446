//! The finding's copy in Security Hub: looked up, and noted without waking ourselves up again (CONTAINMENT D5).

use aws_sdk_securityhub::types::{
    AwsSecurityFinding, AwsSecurityFindingFilters, AwsSecurityFindingIdentifier, NoteUpdate, StringFilter,
    StringFilterComparison, WorkflowStatus, WorkflowUpdate,
};

use crate::aws::Fault;
use crate::event::UPDATED_BY;
use crate::finding::Finding;
use crate::id::FindingId;
use crate::outcome::Status;
use crate::text::printable;

/// The finding as Security Hub has it, by id and, where given, product.
///
/// # Errors
/// When Security Hub does not answer or is not enabled.
pub async fn find(
    client: &aws_sdk_securityhub::Client,
    id: &FindingId,
    product: Option<&str>,
) -> Result<Option<AwsSecurityFinding>, Fault> {
    let equals = |value: &str| StringFilter::builder().value(value).comparison(StringFilterComparison::Equals).build();
    let filters = AwsSecurityFindingFilters::builder()
        .id(equals(id.as_str()))
        .set_product_arn(product.map(|product| vec![equals(product)]));
    let output = client.get_findings().filters(filters.build()).max_results(2).send().await?;
    // Filtered again: what comes back must be what was asked for.
    Ok(output
        .findings
        .unwrap_or_default()
        .into_iter()
        .find(|found| found.id() == Some(id.as_str()) && product.is_none_or(|product| found.product_arn() == Some(product))))
}

/// Notes the outcome on the finding and marks it NOTIFIED, unless a person has given it another status.
///
/// Best effort: GuardDuty's copy may not have arrived, Security Hub may be off. The status says so.
pub async fn note(client: &aws_sdk_securityhub::Client, finding: &Finding, text: &str) -> Status {
    let product = finding.product.as_deref().filter(|product| product.contains("::product/"));
    let found = match find(client, &finding.id, product).await {
        Ok(Some(found)) => found,
        Ok(None) => return Status::Skipped("Security Hub has no copy of this finding yet".to_owned()),
        Err(fault) => return Status::Failed(fault.to_string()),
    };
    let is_new = found.workflow().and_then(|workflow| workflow.status()) == Some(&WorkflowStatus::New);
    let identifier = AwsSecurityFindingIdentifier::builder()
        .id(found.id().unwrap_or_default())
        .product_arn(found.product_arn().unwrap_or_default())
        .build();
    let output = client
        .batch_update_findings()
        .finding_identifiers(identifier)
        .note(NoteUpdate::builder().text(text).updated_by(UPDATED_BY).build())
        // NOTIFIED, never RESOLVED: contained is not remediated.
        .set_workflow(is_new.then(|| WorkflowUpdate::builder().status(WorkflowStatus::Notified).build()))
        .send()
        .await;
    match output {
        Ok(output) => match output.unprocessed_findings().first() {
            Some(refused) => Status::Failed(printable(
                &format!("{}: {}", refused.error_code().unwrap_or_default(), refused.error_message().unwrap_or_default()),
                200,
            )),
            None => Status::Done,
        },
        Err(error) => Status::Failed(Fault::from(error).to_string()),
    }
}
