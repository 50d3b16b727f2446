//! The settings that every client is made of.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::tls;

/// Reads credentials, Region and endpoint from the environment. Retries and timeouts are part of the product and so
/// are written here, not taken from a default that a new SDK may change. One HTTP client, so that every service shares
/// what INIT has warmed.
pub async fn load_config(call_timeout: Duration) -> SdkConfig {
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
        // Throttling and lost connections are retried within the call; anything longer is Lambda's to retry.
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(100)))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(2).min(call_timeout))
                .operation_attempt_timeout(call_timeout)
                .operation_timeout(call_timeout * 12 / 5)
                .build(),
        )
        .load()
        .await
}
