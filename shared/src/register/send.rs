//! Putting the answer where CloudFormation waits for it.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, timeout::TimeoutConfig};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use serde_json::Value;

use super::request::ResponseUrl;
use crate::aws::{Fault, FaultClass};

const MOST_TRIES: u32 = 3;

/// Puts the document, trying again a few times: the stack waits for it, and the same answer twice is no harm.
///
/// # Errors
/// With what the last try met. Nothing of the URL is in it.
pub(super) async fn put(config: &SdkConfig, url: &ResponseUrl, document: &Value) -> Result<(), Fault> {
    let mut tried = 0;
    loop {
        tried += 1;
        match put_once(config, url, document).await {
            Err(_) if tried < MOST_TRIES => tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(tried)).await,
            outcome => return outcome,
        }
    }
}

async fn put_once(config: &SdkConfig, url: &ResponseUrl, document: &Value) -> Result<(), Fault> {
    let Some(http) = config.http_client() else {
        return Err(Fault { code: "NotSent".to_owned(), message: "no HTTP client".to_owned(), class: FaultClass::Permanent });
    };
    let timeouts = config.timeout_config().cloned().unwrap_or_else(|| TimeoutConfig::builder().build());
    let operation = Operation::builder()
        .service_name("cloudformation")
        .operation_name("Answer")
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(url.origin())
        .http_client(http)
        .no_auth()
        .no_retry()
        .timeout_config(timeouts)
        .serializer(|(path, body): (String, Vec<u8>)| {
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_method("PUT")?;
            // The signature in the query is over a request without a content type.
            request.set_uri(path)?;
            Ok(request)
        })
        .deserializer(|response: &HttpResponse| match response.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(OrchestratorError::operation(
                // S3's own words may hold the signature it refuses.
                ErrorMetadata::builder().code(format!("Http{status}")).message("S3 did not take the answer").build(),
            )),
        })
        .build();
    let body = serde_json::to_vec(document).unwrap_or_default();
    let outcome = operation.invoke((url.path().to_owned(), body)).await;
    outcome.map_err(|error| {
        let fault = Fault::from(error);
        // What a connection says of itself may hold the address.
        let message = if fault.code.starts_with("Http") { fault.message } else { "the answer was not sent".to_owned() };
        Fault { message, ..fault }
    })
}
