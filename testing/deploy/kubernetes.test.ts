/** The Kubernetes manifests: that they fit together, the image, the routes and the settings. No cluster is asked. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { operations } from '../../src/api/routes.ts';
import { loadConfig } from '../../src/server/config.ts';
import { SETTINGS } from '../../src/server/config-schema.ts';
import { environmentOf, only, parseDockerfile } from '../support/dockerfile.ts';
import { DOCKERFILE } from '../support/image.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'deploy/kubernetes');
const NAME = 'app.kubernetes.io/name';

/** What is read of a manifest here. */
type Json = string | number | boolean | null | readonly Json[] | Manifest;
interface Manifest {
  readonly [member: string]: Json;
}

const files = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml'));
const documents = files.flatMap((file) =>
  parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8')).map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], [], file);
    return { file, manifest: document.toJS() as Manifest };
  }),
);

function at(start: Json | undefined, ...path: readonly (string | number)[]): Json | undefined {
  let found: Json | undefined = start;
  for (const step of path)
    found =
      typeof found === 'object' && found !== null
        ? (found as Readonly<Record<string | number, Json>>)[step]
        : undefined;
  return found;
}

function list(value: Json | undefined): readonly Json[] {
  assert.ok(Array.isArray(value));
  return value;
}

function kind(name: string, called = 'quorate'): Manifest {
  const [found, ...more] = documents.filter(
    ({ manifest }) => manifest.kind === name && at(manifest, 'metadata', 'name') === called,
  );
  assert.ok(found !== undefined && more.length === 0, `expected one ${name} ${called}`);
  return found.manifest;
}

const pod = at(kind('StatefulSet'), 'spec', 'template', 'spec');
const container = at(pod, 'containers', 0);
const toml = String(at(kind('ConfigMap'), 'data', 'quorate.toml'));
const config = loadConfig({ file: { name: 'quorate.toml', text: toml } });
const image = parseDockerfile(readFileSync(DOCKERFILE, 'utf8')).stages.at(-1);
assert.ok(image !== undefined);

test('every manifest is applied or an example, and every one has the name by which all select', () => {
  const applied = list(
    documents.find(({ file }) => file === 'kustomization.yaml')?.manifest.resources,
  );
  const others = ['kustomization.yaml', 'podmonitor.yaml', 'secret.example.yaml'];
  assert.deepEqual([...applied, ...others].sort(), files.toSorted());
  const made = documents.filter(({ file }) => file !== 'kustomization.yaml');
  assert.equal(made.length, 9);
  for (const { file, manifest } of made)
    assert.equal(at(manifest, 'metadata', 'labels', NAME), 'quorate', file);
  const selectors = made.flatMap(({ manifest }) => [
    at(manifest, 'spec', 'selector', 'matchLabels', NAME),
    at(manifest, 'spec', 'selector', NAME),
    at(manifest, 'spec', 'podSelector', 'matchLabels', NAME),
  ]);
  assert.deepEqual(
    selectors.filter((selector) => selector !== undefined),
    Array.from({ length: 6 }, () => 'quorate'),
  );
  assert.equal(at(kind('StatefulSet'), 'spec', 'template', 'metadata', 'labels', NAME), 'quorate');
});

test('the settings are valid, and what they name is mounted', () => {
  const mounts = new Map(
    list(at(container, 'volumeMounts')).map((mount) => [at(mount, 'name'), at(mount, 'mountPath')]),
  );
  assert.equal(mounts.get('data'), config.dataDir);
  assert.equal(mounts.get('tmp'), '/tmp');
  const [key] = config.logKeys;
  assert.ok(key !== undefined && 'file' in key);
  const secret = kind('Secret', 'quorate-keys');
  const [file] = Object.keys(at(secret, 'stringData') as Manifest);
  assert.equal(key.file, `${mounts.get('keys')}/${file}`);
  assert.equal(environmentOf(image).QUORATE_CONFIG, `${mounts.get('config')}/quorate.toml`);
  const volumes = new Set([
    ...list(at(pod, 'volumes')).map((volume) => at(volume, 'name')),
    at(kind('StatefulSet'), 'spec', 'volumeClaimTemplates', 0, 'metadata', 'name'),
  ]);
  assert.deepEqual(volumes, new Set(mounts.keys()));
});

test('ports are those of the settings, and every name of a port is one of the pod', () => {
  assert.ok('port' in config.listen && config.metricsListen !== null);
  const ports = new Map(
    list(at(container, 'ports')).map((port) => [at(port, 'name'), at(port, 'containerPort')]),
  );
  assert.deepEqual(Object.fromEntries(ports), {
    http: config.listen.port,
    metrics: config.metricsListen.port,
  });
  const annotations = at(kind('StatefulSet'), 'spec', 'template', 'metadata', 'annotations');
  assert.equal(at(annotations, 'prometheus.io/port'), `${ports.get('metrics')}`);
  const targets = ['quorate', 'quorate-metrics'].map((name) =>
    at(kind('Service', name), 'spec', 'ports', 0, 'targetPort'),
  );
  assert.deepEqual(targets, ['http', 'metrics']);
  assert.equal(at(kind('PodMonitor'), 'spec', 'podMetricsEndpoints', 0, 'port'), 'metrics');
  assert.equal(at(kind('PodMonitor'), 'spec', 'jobLabel'), NAME);
  const ingress = list(at(kind('NetworkPolicy'), 'spec', 'ingress'));
  const open = ingress.filter((rule) => at(rule, 'from') === undefined);
  assert.deepEqual(
    open.map((rule) => at(rule, 'ports', 0, 'port')),
    ['http'],
  );
  assert.equal(at(kind('StatefulSet'), 'spec', 'serviceName'), 'quorate-metrics');
  // Shown while it is not ready too, and never by the Service of the API.
  assert.equal(at(kind('Service', 'quorate-metrics'), 'spec', 'publishNotReadyAddresses'), true);
  assert.equal(at(kind('Service'), 'spec', 'publishNotReadyAddresses'), undefined);
});

test('every probe asks a route of the API, and only readiness whether it is ready', () => {
  const routes = new Set(operations().map(([, route]) => route.path));
  const asked = ['startupProbe', 'livenessProbe', 'readinessProbe'].map((probe) => {
    assert.equal(at(container, probe, 'httpGet', 'port'), 'http');
    return String(at(container, probe, 'httpGet', 'path'));
  });
  assert.deepEqual(asked, ['/livez', '/livez', '/readyz']);
  for (const path of asked) assert.ok(routes.has(path), path);
});

test('one pod has the volume, and there is time to drain before it is killed', () => {
  const spec = at(kind('StatefulSet'), 'spec');
  assert.equal(at(spec, 'replicas'), 1);
  assert.deepEqual(at(spec, 'volumeClaimTemplates', 0, 'spec', 'accessModes'), [
    'ReadWriteOncePod',
  ]);
  const { drainMs, drainDelayMs } = config.timeouts;
  // Readiness is looked at every two seconds, and has to fail twice.
  const noticedMs =
    1000 *
    Number(at(container, 'readinessProbe', 'periodSeconds')) *
    Number(at(container, 'readinessProbe', 'failureThreshold'));
  assert.ok(drainDelayMs > noticedMs);
  assert.ok(
    Number(at(pod, 'terminationGracePeriodSeconds')) * 1000 >= drainMs + drainDelayMs + 15_000,
  );
  assert.equal(at(kind('PodDisruptionBudget'), 'spec', 'maxUnavailable'), 1);
});

test('a start that rewrites a full volume has the time and the temporary room for it', () => {
  const gibibytes = (text: Json | undefined) => Number(/^(\d+)Gi$/.exec(String(text))?.[1]);
  const claim = at(kind('StatefulSet'), 'spec', 'volumeClaimTemplates', 0, 'spec');
  const full = gibibytes(at(claim, 'resources', 'requests', 'storage'));
  const probe = at(container, 'startupProbe');
  const seconds = Number(at(probe, 'periodSeconds')) * Number(at(probe, 'failureThreshold'));
  assert.ok(seconds >= 30 * full);
  const tmp = list(at(pod, 'volumes')).find((volume) => at(volume, 'name') === 'tmp');
  assert.equal(at(tmp, 'emptyDir', 'medium'), undefined);
  assert.ok(gibibytes(at(tmp, 'emptyDir', 'sizeLimit')) >= full);
});

test('the pod runs as the user of the image, with no rights and nothing to write but its volumes', () => {
  const [uid, gid] = only(image, 'USER').split(':').map(Number);
  assert.deepEqual(at(pod, 'securityContext'), {
    runAsNonRoot: true,
    runAsUser: uid,
    runAsGroup: gid,
    fsGroup: gid,
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
  });
  assert.deepEqual(at(container, 'securityContext'), {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  assert.equal(at(pod, 'automountServiceAccountToken'), false);
  assert.equal(at(kind('ServiceAccount'), 'automountServiceAccountToken'), false);
  assert.equal(at(pod, 'serviceAccountName'), at(kind('ServiceAccount'), 'metadata', 'name'));
  const keys = list(at(pod, 'volumes')).find((volume) => at(volume, 'name') === 'keys');
  assert.equal(at(keys, 'secret', 'defaultMode'), 0o400);
});

test('the environment of the pod says nothing but settings', () => {
  assert.equal(at(pod, 'enableServiceLinks'), false);
  for (const variable of list(at(container, 'env') ?? []))
    assert.ok(SETTINGS.some(({ env }) => env === at(variable, 'name')));
});

test('memory holds the bursts that are promised, the version is this one, and there is no CPU limit', () => {
  const mebibytes = (text: Json | undefined) => Number(/^(\d+)Mi$/.exec(String(text))?.[1]);
  const resources = at(container, 'resources');
  assert.ok(mebibytes(at(resources, 'requests', 'memory')) >= 256);
  assert.ok(mebibytes(at(resources, 'limits', 'memory')) > 512);
  assert.equal(at(resources, 'limits', 'cpu'), undefined);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  assert.equal(at(container, 'image'), `quorate:${version}`);
});
