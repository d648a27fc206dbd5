//! The table of routes: one entry says method, path, scope, shapes and handler, and both the router and the OpenAPI
//! document are made from it. A route that is not described cannot exist.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use policy::Scope;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, Paths, Ref, RefOr, Required, Schema, Type,
};

use crate::keeper::{self, Demand, Keeper};
use crate::problem::Problem;

/// What one route is and takes.
pub(crate) struct Spec {
    method: Method,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    scope: Option<Scope>,
    or_in_body: bool,
    for_browsers: bool,
    query: Vec<(&'static str, bool, &'static str)>,
    takes: Option<Shape>,
    gives: Option<(&'static str, Option<Shape>)>,
}

/// Named shapes, each as often as it is named.
pub(crate) type Components = Vec<(String, RefOr<Schema>)>;
type Shape = fn(&mut Components) -> Ref;

fn shape<T: ToSchema>(components: &mut Components) -> Ref {
    components.push((T::name().into_owned(), T::schema()));
    T::schemas(components);
    Ref::from_schema_name(T::name())
}

impl Spec {
    fn new(method: Method, path: &'static str, tag: &'static str, summary: &'static str) -> Self {
        let (scope, query, takes, gives) = (None, Vec::new(), None, None);
        Self {
            method,
            path,
            tag,
            summary,
            scope,
            or_in_body: false,
            for_browsers: false,
            query,
            takes,
            gives,
        }
    }

    /// A route that only reads.
    pub(crate) fn get(path: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self::new(Method::GET, path, tag, summary)
    }

    /// A route that takes a body or changes something.
    pub(crate) fn post(path: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self::new(Method::POST, path, tag, summary)
    }

    /// A route that ends something.
    pub(crate) fn delete(path: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self::new(Method::DELETE, path, tag, summary)
    }

    /// The scope a key needs; no scope means no key.
    pub(crate) fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The key may also stand in the body, where the handler finds it.
    pub(crate) fn or_in_body(mut self) -> Self {
        self.or_in_body = true;
        self
    }

    /// Browsers on allowed origins may use it.
    pub(crate) fn for_browsers(mut self) -> Self {
        self.for_browsers = true;
        self
    }

    /// A query parameter.
    pub(crate) fn query(mut self, name: &'static str, required: bool, description: &'static str) -> Self {
        self.query.push((name, required, description));
        self
    }

    /// The JSON it takes.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Some(shape::<T>);
        self
    }

    /// The JSON it gives.
    pub(crate) fn gives<T: ToSchema>(mut self) -> Self {
        self.gives = Some(("application/json", Some(shape::<T>)));
        self
    }

    /// The other thing it gives.
    pub(crate) fn gives_media(mut self, media: &'static str) -> Self {
        self.gives = Some((media, None));
        self
    }

    fn operation(&self, components: &mut Components) -> Operation {
        let mut operation =
            OperationBuilder::new().tag(self.tag).summary(Some(self.summary)).operation_id(Some(self.id()));
        for parameter in self.parameters() {
            operation = operation.parameter(parameter);
        }
        if let Some(takes) = self.takes {
            let content = ContentBuilder::new().schema(Some(takes(components))).build();
            let body = RequestBodyBuilder::new().required(Some(Required::True));
            operation = operation.request_body(Some(body.content("application/json", content).build()));
        }
        let mut answer = ResponseBuilder::new().description(self.summary);
        if let Some((media, gives)) = self.gives {
            let schema = gives.map(|gives| RefOr::<Schema>::Ref(gives(components)));
            let any = || RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(Type::String).build()));
            let content = ContentBuilder::new().schema(Some(schema.unwrap_or_else(any)));
            answer = answer.content(media, content.build());
        }
        let problem = ContentBuilder::new().schema(Some(shape::<Problem>(components))).build();
        let problem = ResponseBuilder::new()
            .description("What went wrong; `help` names the page that explains it.")
            .content("application/json", problem);
        operation = operation.response("200", answer.build()).response("default", problem.build());
        if let Some(scope) = self.scope {
            for scheme in ["bearer", "basic"] {
                operation = operation.security(SecurityRequirement::new(scheme, [scope.as_str()]));
            }
        }
        operation.build()
    }

    fn id(&self) -> String {
        let words = self.path.split(['/', '{', '}', '.', '-', '_']).filter(|word| !word.is_empty());
        let words = words.map(str::to_owned).collect::<Vec<_>>().join("_");
        format!("{}_{words}", self.method.as_str().to_ascii_lowercase())
    }

    fn parameters(&self) -> Vec<Parameter> {
        let text = || Some(ObjectBuilder::new().schema_type(Type::String).build());
        let in_path = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path = in_path.map(|name| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
            parameter.required(Required::True).schema(text()).build()
        });
        let in_query = self.query.iter().map(|(name, required, description)| {
            let required = if *required { Required::True } else { Required::False };
            let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Query);
            parameter.required(required).description(Some(*description)).schema(text()).build()
        });
        in_path.chain(in_query).collect()
    }
}

/// All routes, as router and as document.
pub(crate) struct Table<S> {
    keeper: Arc<Keeper>,
    router: Router<S>,
    specs: Vec<Spec>,
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    /// No routes. `keeper` will stand before each that needs a key.
    pub(crate) fn new(keeper: Arc<Keeper>) -> Self {
        Self { keeper, router: Router::new(), specs: Vec::new() }
    }

    /// One more route.
    pub(crate) fn add<H, T>(mut self, spec: Spec, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = match spec.method {
            Method::GET => MethodFilter::GET,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::POST,
        };
        let mut route = on(filter, handler);
        if let Some(scope) = spec.scope {
            let demand = Demand { keeper: Arc::clone(&self.keeper), scope, or_in_body: spec.or_in_body };
            route = route.layer(axum::middleware::from_fn_with_state(demand, keeper::guard));
        }
        self.router = self.router.route(spec.path, route);
        self.specs.push(spec);
        self
    }

    /// Method and path of each route.
    pub(crate) fn names(&self) -> Vec<(Method, &'static str)> {
        self.specs.iter().map(|spec| (spec.method.clone(), spec.path)).collect()
    }

    /// The paths that browsers may use.
    pub(crate) fn for_browsers(&self) -> Vec<&'static str> {
        self.specs.iter().filter(|spec| spec.for_browsers).map(|spec| spec.path).collect()
    }

    /// What each route says of itself, and every shape that is named there.
    pub(crate) fn described(&self) -> (Paths, Components) {
        let mut components: Components = Vec::new();
        let mut paths = Paths::new();
        for spec in &self.specs {
            let method = match spec.method {
                Method::GET => HttpMethod::Get,
                Method::DELETE => HttpMethod::Delete,
                _ => HttpMethod::Post,
            };
            paths.add_path_operation(spec.path, vec![method], spec.operation(&mut components));
        }
        (paths, components)
    }

    /// The OpenAPI 3.1 document.
    pub(crate) fn document(&self) -> OpenApi {
        let (paths, components) = self.described();
        let key = "An API key; `maschinenraum keys create` makes one.";
        let scheme = |scheme, said: &str| {
            SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(said)).build())
        };
        let basic = "An API key as the user name and no password, as the tracking clients send it.";
        let components = ComponentsBuilder::new()
            .schemas_from_iter(components)
            .security_scheme("bearer", scheme(HttpAuthScheme::Bearer, key))
            .security_scheme("basic", scheme(HttpAuthScheme::Basic, basic))
            .build();
        let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
        let info = InfoBuilder::new()
            .title("Maschinenraum")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(
                "Consented records go in, governed answers come out, every answer is measured.",
            ))
            .license(Some(license))
            .build();
        OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build()
    }

    /// The router.
    pub(crate) fn into_router(self) -> Router<S> {
        self.router
    }
}
