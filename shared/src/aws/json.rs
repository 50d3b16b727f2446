//! AWS services that speak JSON, read as JSON.
//!
//! GuardDuty, Security Hub and CloudTrail answer with findings and records of hundreds of optional fields, of which a
//! decision needs about twenty. Their SDK crates turn each answer into a struct of all of them: two thirds of the
//! function's code, and more stack than a thread has. So these few operations are made on the SDK's own orchestrator
//! instead (signing, retries, timeouts, interceptors and connections are the SDK's), and the answer stays JSON, read
//! by the same parsers as an event.

use std::fmt;

use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use serde_json::Value;

use super::{CallLog, Fault};
use crate::id::{Partition, Region};

/// One service of one account.
#[derive(Clone)]
pub struct JsonService {
    name: &'static str,
    config: SdkConfig,
    calls: CallLog,
}

/// One request of a service's API.
#[derive(Debug)]
pub struct Call {
    /// The operation's name in the API, as CloudTrail and policies write it.
    pub operation: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, its parts percent-encoded where they are not the API's own.
    pub path: String,
    /// `X-Amz-Target` of a service that speaks JSON 1.1; none for REST.
    pub target: Option<&'static str>,
    /// The body.
    pub body: Value,
}

impl fmt::Debug for JsonService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JsonService").field("name", &self.name).finish_non_exhaustive()
    }
}

impl JsonService {
    /// The service of this signing name (`guardduty`), with the credentials, retries and timeouts of `config`.
    #[must_use]
    pub fn new(name: &'static str, config: &SdkConfig, calls: &CallLog) -> Self {
        Self { name, config: config.clone(), calls: calls.clone() }
    }

    /// Makes one call in `region`, or in the function's own.
    ///
    /// # Errors
    /// With what AWS said, or that there was no answer that is JSON.
    pub async fn call(&self, region: Option<&Region>, call: Call) -> Result<Value, Fault> {
        self.send(region, Request { call, given: None }).await
    }

    /// Makes one call whose body is given as it is, with a header of its own, and which may be answered with nothing but
    /// that it was accepted.
    ///
    /// # Errors
    /// With what AWS said, or that there was no answer that is JSON.
    #[cfg(feature = "recheck")]
    pub async fn hand_over(&self, call: Call, header: (&'static str, &'static str), body: Vec<u8>) -> Result<(), Fault> {
        self.send(None, Request { call, given: Some((header, body)) }).await.map(drop)
    }

    async fn send(&self, region: Option<&Region>, request: Request) -> Result<Value, Fault> {
        let call = &request.call;
        let read = if request.given.is_some() { accepted } else { answer };
        let region = region.map_or_else(|| self.own_region(), |region| region.as_str().to_owned());
        let operation = Operation::builder()
            .service_name(self.name)
            .operation_name(call.operation)
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&self.endpoint(&region))
            .interceptor(self.calls.clone())
            .with_connection_poisoning()
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refusal>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .standard_retry(&self.config.retry_config().cloned().unwrap_or_else(aws_config::retry::RetryConfig::standard))
            .runtime_plugin(self.signed_for(region))
            .serializer(|request: Request| written(request))
            .deserializer(read);
        let operation = match self.config.timeout_config() {
            Some(timeouts) => operation.timeout_config(timeouts.clone()),
            None => operation,
        };
        Ok(operation.build().invoke(request).await?)
    }

    fn own_region(&self) -> String {
        self.config.region().map(ToString::to_string).unwrap_or_default()
    }

    /// Where the service is: `AWS_ENDPOINT_URL`, else its Regional endpoint in its partition.
    fn endpoint(&self, region: &str) -> String {
        if let Some(url) = self.config.endpoint_url() {
            return url.to_owned();
        }
        let suffix = Region::parse(region).map_or("amazonaws.com", |region| Partition::of_region(&region).dns_suffix());
        let fips = if self.config.use_fips() == Some(true) { "-fips" } else { "" };
        format!("https://{}{fips}.{region}.{suffix}", self.name)
    }

    fn signed_for(&self, region: String) -> StaticRuntimePlugin {
        let mut config = Layer::new("json service");
        config.store_put(AuthSchemeOptionResolverParams::new(()));
        let mut options = SigningOptions::default();
        // As for every service but S3.
        (options.double_uri_encode, options.normalize_uri_path) = (true, true);
        config.store_put(SigV4OperationSigningConfig {
            region: Some(SigningRegion::from(SdkRegion::new(region))),
            name: Some(SigningName::from_static(self.name)),
            signing_options: options,
            ..SigV4OperationSigningConfig::default()
        });
        let mut components = RuntimeComponentsBuilder::new("json service")
            .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
            .with_http_client(self.config.http_client())
            .with_sleep_impl(self.config.sleep_impl())
            .with_time_source(self.config.time_source())
            .with_identity_cache(self.config.identity_cache());
        components.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )));
        if let Some(credentials) = self.config.credentials_provider() {
            components.set_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials));
        }
        StaticRuntimePlugin::new().with_config(config.freeze()).with_runtime_components(components)
    }
}

/// A call, and the body and header it is sent with where these are not its own.
#[derive(Debug)]
struct Request {
    call: Call,
    given: Option<((&'static str, &'static str), Vec<u8>)>,
}

fn written(request: Request) -> Result<HttpRequest, aws_smithy_runtime_api::box_error::BoxError> {
    let Request { call, given } = request;
    let (header, body) = match given {
        Some((header, body)) => (Some(header), body),
        None => (None, serde_json::to_vec(&call.body)?),
    };
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method(call.method)?;
    request.set_uri(call.path.as_str())?;
    let content_type = if call.target.is_some() { "application/x-amz-json-1.1" } else { "application/json" };
    request.headers_mut().insert("content-type", content_type);
    request.headers_mut().insert("user-agent", concat!("tourniquet/", env!("CARGO_PKG_VERSION")));
    if let Some(target) = call.target {
        request.headers_mut().insert("x-amz-target", target);
    }
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

fn answer(response: &HttpResponse) -> Result<Value, OrchestratorError<Refusal>> {
    let bytes = response.body().bytes().unwrap_or_default();
    let body = serde_json::from_slice::<Value>(bytes);
    match body {
        Ok(body @ Value::Object(_)) if response.status().is_success() => Ok(body),
        body => Err(OrchestratorError::operation(Refusal::of(response, &body.unwrap_or_default()))),
    }
}

/// "Accepted" needs no words.
fn accepted(response: &HttpResponse) -> Result<Value, OrchestratorError<Refusal>> {
    let says_nothing = response.body().bytes().unwrap_or_default().is_empty();
    if response.status().as_u16() == 202 && says_nothing { Ok(Value::Null) } else { answer(response) }
}

/// An answer that is no success, or no JSON.
#[derive(Debug)]
struct Refusal(ErrorMetadata);

impl Refusal {
    /// REST services name the error in a header, JSON services in `__type`; both may append a URI or a namespace.
    fn of(response: &HttpResponse, body: &Value) -> Self {
        let field = |name: &str| body.get(name).and_then(Value::as_str);
        let code = response.headers().get("x-amzn-errortype").or_else(|| field("__type")).or_else(|| field("code"));
        let code = code.and_then(|code| code.split(':').next()?.rsplit('#').next()).filter(|code| !code.is_empty());
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code);
        }
        if let Some(message) = field("message").or_else(|| field("Message")) {
            meta = meta.message(message);
        }
        Self(meta.build())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl std::error::Error for Refusal {}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}
