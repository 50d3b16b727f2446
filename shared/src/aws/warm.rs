//! Connections made in INIT, so that the first finding does not wait for them.
//!
//! Lambda lends a whole CPU to INIT and does not bill it against the finding's clock; a TLS handshake in the first
//! invocation would be on the attacker's time. What is sent is unsigned: no permission is used and AWS has nothing to
//! log. Whatever becomes of it is ignored.

use std::convert::Infallible;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, timeout::TimeoutConfig};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use futures_util::future::join_all;

use crate::id::{Partition, Region};

/// INIT must end whatever a network does.
const LONGEST: Duration = Duration::from_secs(2);

/// Connects to the endpoints that `endpoints` names for the Region. S3 is warmed by reading the guardrails.
pub async fn warm_up(config: &SdkConfig, endpoints: fn(&Region, Partition) -> Vec<String>) {
    let region = config.region().and_then(|region| Region::parse(region.as_ref()).ok());
    let Some(region) = region else { return };
    let partition = Partition::of_region(&region);
    let own = |url: String| config.endpoint_url().map_or(url, str::to_owned);
    join_all(endpoints(&region, partition).into_iter().map(|endpoint| connect(config, own(endpoint)))).await;
}

async fn connect(config: &SdkConfig, endpoint: String) {
    let Some(http) = config.http_client() else { return };
    // The clients' own timeouts: the HTTP client keeps connections apart by connect and read timeout, and those under
    // others would never be used.
    let timeouts = config.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    let operation = Operation::builder()
        .service_name("warm-up")
        .operation_name("Connect")
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(&endpoint)
        .http_client(http)
        .no_auth()
        .no_retry()
        .timeout_config(timeouts.operation_timeout(LONGEST).build())
        .serializer(|()| {
            let mut request = HttpRequest::empty();
            request.set_method("HEAD")?;
            request.set_uri("/")?;
            Ok(request)
        })
        .deserializer(|_: &HttpResponse| Ok::<_, OrchestratorError<Infallible>>(()))
        .build();
    // A warm connection is the only result there is.
    drop(operation.invoke(()).await);
}
