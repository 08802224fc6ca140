//! Who is there: the services of the two systems, their versions and their instances, each with the
//! resource attributes that its spans carry.

use super::dice::Dice;
use super::scene::{Attributes, Value};

macro_rules! services {
    ($($service:ident $name:literal $language:literal [$($version:literal),+];)*) => {
        /// A service of the demo.
        #[allow(clippy::enum_variant_names)] // `StatusChecker` and the like are the real names
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Service { $($service),* }

        impl Service {
            const ALL: &[(Service, &'static str, &'static str, &'static [&'static str])] =
                &[$((Service::$service, $name, $language, &[$($version),+])),*];
        }
    };
}

// A version that stands twice has twice the instances.
services! {
    MobileApp "mobile-app" "kotlin" ["3.2.1"];
    ApiServer "api-server" "go" ["2.8.0", "2.8.0", "2.8.1"];
    WebrtcProvider "webrtc-provider" "cpp" ["5.4.2"];
    PushService "push-service" "go" ["1.19.3"];
    StatusChecker "status-checker" "rust" ["0.9.7"];
    Auth "auth" "go" ["4.1.0"];
    FrontendWeb "frontend-web" "nodejs" ["24.6.0", "24.7.0"];
    Gateway "gateway" "go" ["1.31.2"];
    Cart "cart" "dotnet" ["2.2.0"];
    Checkout "checkout" "go" ["7.0.3"];
    Payment "payment" "java" ["3.14.1"];
    Inventory "inventory" "java" ["2.9.9"];
    Shipping "shipping" "rust" ["1.0.12"];
    Search "search" "python" ["1.13.4", "1.14.0"];
    Recommendation "recommendation" "python" ["0.8.5"];
    Catalog "catalog" "go" ["3.3.0"];
    Pricing "pricing" "java" ["2.0.7"];
    Currency "currency" "cpp" ["1.4.4"];
    Email "email" "ruby" ["2.1.0"];
    User "user" "java" ["6.2.2"];
    Review "review" "python" ["1.7.1"];
    Ad "ad" "java" ["2.5.0"];
    Image "image" "nodejs" ["1.2.8"];
    Fraud "fraud" "python" ["0.4.19"];
    OrderDb "order-db" "cpp" ["17.2"];
    Cache "cache" "cpp" ["8.0.1"];
    KafkaConsumer "kafka-consumer" "java" ["1.6.0"];
}

impl Service {
    /// `service.name`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// A process, or a telephone, that makes spans.
pub struct Instance {
    service: Service,
    version: &'static str,
    pub resource: Attributes,
}

/// All instances.
pub struct World {
    pub instances: Vec<Instance>,
    /// The instances of each service, by `Service`'s number.
    by_service: Vec<Vec<usize>>,
}

/// A telephone: operating system, its version, the app's version, the model.
pub struct Phone {
    pub instance: usize,
    pub os: &'static str,
    pub app_version: &'static str,
}

const PHONES: [(&str, &str, &str, &str); 12] = [
    ("Android", "14", "3.1.4", "SO-51D"),
    ("Android", "15", "3.2.0", "SO-51D"),
    ("Android", "15", "3.2.0", "SH-M26"),
    ("Android", "15", "3.2.1", "Pixel 8"),
    ("Android", "16", "3.2.1", "Pixel 9"),
    ("Android", "14", "3.2.1", "FCG01"),
    ("iOS", "17.6", "3.1.4", "iPhone14,5"),
    ("iOS", "18.1", "3.2.0", "iPhone15,4"),
    ("iOS", "18.1", "3.2.0", "iPhone14,5"),
    ("iOS", "18.2", "3.2.1", "iPhone16,1"),
    ("iOS", "18.2", "3.2.1", "iPhone17,3"),
    ("iOS", "17.6", "3.2.1", "iPhone12,8"),
];

impl World {
    /// The world; the seed only names its pods.
    pub fn new(rng: &Dice) -> Self {
        let mut world = Self { instances: Vec::new(), by_service: Vec::new() };
        for &(service, name, language, versions) in Service::ALL {
            let first = world.instances.len();
            if service == Service::MobileApp {
                world.instances.extend(PHONES.iter().map(phone));
            } else {
                for version in versions.iter().copied().flat_map(|version| [version; 2]) {
                    world.instances.push(pod(rng, service, name, language, version));
                }
            }
            world.by_service.push((first..world.instances.len()).collect());
        }
        world
    }

    /// One of the instances of a service.
    pub fn pick(&self, rng: &Dice, service: Service) -> usize {
        let instances = self.by_service.get(service as usize).map_or(&[][..], Vec::as_slice);
        if instances.is_empty() { 0 } else { rng.one_of(instances) }
    }

    /// One of the telephones.
    pub fn phone(&self, rng: &Dice) -> Phone {
        let at = rng.usize(..PHONES.len());
        let phones = self.by_service.get(Service::MobileApp as usize);
        let instance = phones.and_then(|phones| phones.get(at)).copied().unwrap_or(0);
        Phone { instance, os: PHONES[at].0, app_version: PHONES[at].2 }
    }

    /// Whether it is a telephone.
    pub fn is_phone(&self, instance: usize) -> bool {
        self.instances.get(instance).is_some_and(|i| i.service == Service::MobileApp)
    }

    /// `service.version` of an instance.
    pub fn version(&self, instance: usize) -> &'static str {
        self.instances.get(instance).map_or("", |instance| instance.version)
    }
}

impl Instance {
    /// The service it belongs to.
    pub fn service(&self) -> Service {
        self.service
    }

    /// The instrumentation that makes its spans.
    pub fn scope(&self) -> &'static str {
        if self.service == Service::MobileApp {
            "opentelemetry-mobile"
        } else {
            "opentelemetry-auto-instrumentation"
        }
    }
}

fn phone(
    &(os, os_version, app_version, model): &(
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    ),
) -> Instance {
    let language = if os == "Android" { "kotlin" } else { "swift" };
    let resource = vec![
        ("service.name", "mobile-app".into()),
        ("service.version", app_version.into()),
        ("os.name", os.into()),
        ("os.version", os_version.into()),
        ("device.model.identifier", model.into()),
        ("deployment.environment.name", "production".into()),
        ("telemetry.sdk.language", language.into()),
    ];
    Instance { service: Service::MobileApp, version: app_version, resource }
}

fn pod(
    rng: &Dice,
    service: Service,
    name: &'static str,
    language: &'static str,
    version: &'static str,
) -> Instance {
    let pod = format!("{name}-{:08x}-{}", rng.u32(..), suffix(rng));
    let is_call = (service as usize) <= Service::Auth as usize;
    let resource = vec![
        ("service.name", name.into()),
        ("service.namespace", if is_call { "calling" } else { "shop" }.into()),
        ("service.version", version.into()),
        ("service.instance.id", Value::from(format!("{:016x}", rng.u64(..)))),
        ("host.name", format!("node-{:02}", rng.u8(1..9)).into()),
        ("k8s.namespace.name", if is_call { "calling" } else { "shop" }.into()),
        ("k8s.pod.name", pod.into()),
        ("deployment.environment.name", "production".into()),
        (
            "cloud.availability_zone",
            format!("ap-northeast-1{}", rng.one_of(&['a', 'c', 'd'])).into(),
        ),
        ("telemetry.sdk.language", language.into()),
        ("process.runtime.args", vec!["--config", "/etc/service/config.yaml"].into()),
    ];
    Instance { service, version, resource }
}

fn suffix(rng: &Dice) -> String {
    (0..5).map(|_| rng.letter()).collect()
}
