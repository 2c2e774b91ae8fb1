import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import { Pod } from 'kubernetes-models/v1/Pod';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import { parseAllDocuments } from 'yaml';
import { NATS_FLAGS } from '../../src/cli/client-flags.js';
import { DRILL_FLAGS, type DrillFlag, drillOptions } from '../../src/cli/drill-flags.js';
import { flagsOf } from '../../src/cli/flags.js';
import { parseConfigFile } from '../../src/config/config-file.js';
import { resolveServeConfig } from '../../src/config/resolve.js';
import { findTool, needs, runTool } from './tools.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CHART = join(ROOT, 'helm', 'stanchion');
const VALUES = readdirSync(join(CHART, 'ci'));
const HELM = needs('helm', 'https://helm.sh, or `go install helm.sh/helm/v3/cmd/helm@v3.16.4`');

interface KubernetesObject {
  kind: string;
  apiVersion: string;
  metadata: { name: string; labels?: Record<string, string> };
}

interface ChartScript {
  copyChart(folder: string, helm: string): string;
  readmeWithValues(): string;
  renderChart(helm: string, args: string[]): string;
  renderManifests(helm: string): string;
  manifestsPath: string;
}

/** By kind: each knows the schema that Kubernetes, or Prometheus' operator, has for it. */
const MODELS: Record<string, new (data: never) => { validate(): void }> = {
  ConfigMap,
  NetworkPolicy,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PodMonitor,
  PrometheusRule,
  Service,
  ServiceAccount,
  ServiceMonitor,
  StatefulSet,
};

describe('the chart', () => {
  let script: ChartScript;
  let folder: string;

  before(async () => {
    script = (await import(new URL('../../scripts/chart.mjs', import.meta.url).href)) as ChartScript;
    folder = mkdtempSync(join(tmpdir(), 'stanchion-chart-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('documents each of its values in its README (node scripts/chart.mjs readme)', () => {
    assert.equal(readFileSync(join(CHART, 'README.md'), 'utf8'), script.readmeWithValues());
  });

  it('is what the plain manifests are made of (node scripts/chart.mjs manifests)', HELM, () => {
    assert.equal(readFileSync(script.manifestsPath, 'utf8'), script.renderManifests(findTool('helm')!));
  });

  it('has plain manifests that Kubernetes takes', () => {
    validate(readFileSync(script.manifestsPath, 'utf8'));
  });

  it('lets a drill inside a pod reach the group as its brokers do, also by what is in their config file', async () => {
    const { env } = containerOf(validate(readFileSync(script.manifestsPath, 'utf8')));
    // As values of `config` come there.
    const file = join(folder, 'stanchion.yaml');
    writeFileSync(file, 'discover_prefix: _HOUSE\nmax_msgs: 5\ntls: { server_name: nats.example.com }\n');
    assert.equal(env.STANCHION_CONFIG, '/etc/stanchion/config/stanchion.yaml');
    const names = Object.keys({ ...DRILL_FLAGS, ...NATS_FLAGS }) as DrillFlag[];
    const { target } = await drillOptions(await flagsOf({}, names, { ...env, STANCHION_CONFIG: file }));
    assert.ok(target.kind === 'running');
    assert.deepEqual([target.nats.servers, target.discoverPrefix], [['nats://nats:4222'], '_HOUSE']);
    assert.deepEqual(target.nats.tls, { servername: 'nats.example.com' });
  });

  it('passes helm lint, with each set of values', HELM, () => {
    const copy = script.copyChart(folder, findTool('helm')!);
    for (const values of VALUES) runTool('helm', ['lint', '--strict', copy, '-f', join(CHART, 'ci', values)]);
  });

  for (const values of VALUES) {
    it(`makes objects that Kubernetes takes of ${values}`, HELM, () => {
      const objects = validate(script.renderChart(findTool('helm')!, ['-f', join(CHART, 'ci', values)]));
      assert.ok(objects.some(({ kind }) => kind === 'StatefulSet'));
    });

    it(`starts brokers by a command line that they take, with ${values}`, HELM, () => {
      const objects = validate(script.renderChart(findTool('helm')!, ['-f', join(CHART, 'ci', values)]));
      const { argv, env, config } = containerOf(objects);
      const resolved = resolveServeConfig(argv, env, (path) => parseConfigFile(path, config));
      assert.equal(resolved.store.kind, 'file');
      assert.ok(resolved.group !== undefined);
      assert.ok(resolved.httpPort !== undefined);
      assert.ok(resolved.nats.servers.length > 0);
    });
  }

  it('names the service of NATS as the chart of NATS does', HELM, () => {
    const render = (...args: string[]): string =>
      script.renderChart(findTool('helm')!, [
        '--set',
        'nats.enabled=true',
        '--set',
        'persistence.storageClass=nfs',
        ...args,
      ]);
    const urlOf = (rendered: string): string | undefined => /value: "(nats:.*)"/.exec(rendered)?.[1];
    assert.equal(urlOf(render()), 'nats://stanchion-nats:4222');
    // A release whose name has it is not named twice.
    assert.equal(urlOf(render('--set', 'nats.nameOverride=stan')), 'nats://stanchion:4222');
    assert.equal(urlOf(render('--set', 'nats.fullnameOverride=bus')), 'nats://bus:4222');
    assert.equal(urlOf(render('--set', 'nats.service.name=nats-service')), 'nats://nats-service:4222');
    assert.equal(urlOf(render('--set', 'nats.config.nats.port=5222')), 'nats://stanchion-nats:5222');
    const port = ['--set', 'nats.config.nats.port=5222', '--set', 'nats.service.ports.nats.port=6222'];
    assert.equal(urlOf(render(...port)), 'nats://stanchion-nats:6222');
  });

  it('lets brokers out to the ports of their NATS servers, or to those in its values', HELM, () => {
    const portsOf = (nats: object, natsPorts?: number[]): number[] => {
      const values = join(folder, 'policy.yaml');
      const networkPolicy = { enabled: true, ...(natsPorts !== undefined && { natsPorts }) };
      writeFileSync(values, JSON.stringify({ nats, networkPolicy }));
      const objects = validate(script.renderChart(findTool('helm')!, ['-f', values]));
      const policy = objects.find(({ kind }) => kind === 'NetworkPolicy') as KubernetesObject & {
        spec: { egress: { ports: { port: number; protocol: string }[] }[] };
      };
      const [toNats, toDns] = policy.spec.egress;
      assert.deepEqual(toDns!.ports, [
        { port: 53, protocol: 'UDP' },
        { port: 53, protocol: 'TCP' },
      ]);
      assert.ok(toNats!.ports.every(({ protocol }) => protocol === 'TCP'));
      return toNats!.ports.map(({ port }) => port);
    };
    assert.deepEqual(portsOf({ urls: ['nats://n'] }), [4222]);
    assert.deepEqual(portsOf({ urls: ['tls://a:4443', 'nats://b', 'nats://c:4443'] }), [4443, 4222]);
    assert.deepEqual(portsOf({ urls: ['nats://a:5001,nats://b:5002'] }), [5001, 5002]);
    assert.deepEqual(portsOf({ urls: ['nats://user:1234@a', 'nats://u@b:5003/'] }), [4222, 5003]);
    assert.deepEqual(portsOf({ urls: ['nats://[fd00::4444]', 'nats://t@[fd00::1]:5004'] }), [4222, 5004]);
    assert.deepEqual(portsOf({ urls: ['nats://a:5001', 'nats://b'] }, [4333]), [4333]);
    assert.deepEqual(portsOf({ enabled: true }), [4222]);
    assert.deepEqual(portsOf({ enabled: true, config: { nats: { port: 5222 } } }), [5222]);
    const behindService = { config: { nats: { port: 5222 } }, service: { ports: { nats: { port: 6222 } } } };
    assert.deepEqual(portsOf({ enabled: true, ...behindService }), [6222, 5222]);
  });

  it('has each label once where values repeat one of its own', HELM, () => {
    const values = join(folder, 'labels.yaml');
    const own = {
      'app.kubernetes.io/name': 'stanchion',
      'app.kubernetes.io/version': 'mine',
      team: 'messaging',
    };
    const metrics = Object.fromEntries(
      ['serviceMonitor', 'prometheusRule', 'dashboard'].map((each) => [each, { enabled: true, labels: own }]),
    );
    writeFileSync(values, JSON.stringify({ podLabels: own, metrics }));
    const objects = validate(
      script.renderChart(findTool('helm')!, ['-f', join(CHART, 'ci', 'defaults.yaml'), '-f', values]),
    );
    const labelled = objects.filter(({ metadata }) => metadata.labels?.team === 'messaging');
    assert.deepEqual(labelled.map(({ kind }) => kind).sort(), [
      'ConfigMap',
      'PrometheusRule',
      'ServiceMonitor',
    ]);
    for (const { metadata } of labelled) {
      const { 'helm.sh/chart': chart, grafana_dashboard: _, ...labels } = metadata.labels!;
      assert.match(chart!, /^stanchion-/);
      const kept = { 'app.kubernetes.io/instance': 'stanchion', 'app.kubernetes.io/managed-by': 'Helm' };
      assert.deepEqual(labels, { ...own, ...kept });
    }
    const set = objects.find(({ kind }) => kind === 'StatefulSet') as KubernetesObject & {
      spec: { template: { metadata: { labels: Record<string, string> } } };
    };
    const pod = set.spec.template.metadata.labels;
    assert.deepEqual(pod, { ...own, 'app.kubernetes.io/instance': 'stanchion' });
  });

  it('makes a test that nothing takes for a broker', HELM, () => {
    const objects = validate(script.renderChart(findTool('helm')!, ['-f', join(CHART, 'ci', 'all.yaml')]));
    const labelsOf = (kind: string): Record<string, string> =>
      objects.find((object) => object.kind === kind)!.metadata.labels ?? {};
    const set = objects.find(({ kind }) => kind === 'StatefulSet') as KubernetesObject & {
      spec: { selector: { matchLabels: Record<string, string> } };
    };
    const wanted = Object.entries(set.spec.selector.matchLabels);
    assert.ok(wanted.every(([name, value]) => labelsOf('StatefulSet')[name] === value));
    assert.ok(!wanted.every(([name, value]) => labelsOf('Pod')[name] === value));
  });

  it('makes a test that can be pulled and placed as the brokers are', HELM, () => {
    const objects = validate(script.renderChart(findTool('helm')!, ['-f', join(CHART, 'ci', 'all.yaml')]));
    interface PodSpec {
      imagePullSecrets?: unknown;
      nodeSelector?: unknown;
      tolerations?: unknown;
    }
    const placeOf = ({ imagePullSecrets, nodeSelector, tolerations }: PodSpec): unknown[] => [
      imagePullSecrets,
      nodeSelector,
      tolerations,
    ];
    const pod = objects.find(({ kind }) => kind === 'Pod') as KubernetesObject & { spec: PodSpec };
    const set = objects.find(({ kind }) => kind === 'StatefulSet') as KubernetesObject & {
      spec: { template: { spec: PodSpec } };
    };
    assert.ok(placeOf(pod.spec).every((each) => each !== undefined));
    assert.deepEqual(placeOf(pod.spec), placeOf(set.spec.template.spec));
  });

  it('runs pods as its values say, and without a user or group where they say none', HELM, () => {
    const contextsOf = (podSecurityContext: object): unknown[] => {
      const values = join(folder, 'security.yaml');
      writeFileSync(values, JSON.stringify({ podSecurityContext }));
      const args = ['-f', join(CHART, 'ci', 'defaults.yaml'), '-f', values];
      const objects = validate(script.renderChart(findTool('helm')!, args));
      const set = objects.find(({ kind }) => kind === 'StatefulSet') as KubernetesObject & {
        spec: { template: { spec: { securityContext: object } } };
      };
      const pod = objects.find(({ kind }) => kind === 'Pod') as KubernetesObject & {
        spec: { securityContext: object };
      };
      return [set.spec.template.spec.securityContext, pod.spec.securityContext];
    };
    const twice = (context: object): object[] => [context, context];
    const seccompProfile = { type: 'RuntimeDefault' };
    // OpenShift chooses user and groups itself, and refuses a pod that names its own.
    const none = { runAsUser: null, runAsGroup: null, fsGroup: null, fsGroupChangePolicy: null };
    assert.deepEqual(contextsOf(none), twice({ runAsNonRoot: true, seccompProfile }));
    const own = { runAsNonRoot: false, seccompProfile: { type: 'Localhost', localhostProfile: 'p.json' } };
    assert.deepEqual(contextsOf({ ...none, ...own }), twice(own));
  });

  it('lets a drain take pods that are not ready, where Kubernetes has that', HELM, () => {
    const policyOf = (...args: string[]): unknown => {
      const all = ['-f', join(CHART, 'ci', 'defaults.yaml'), ...args];
      const budget = validate(script.renderChart(findTool('helm')!, all)).find(
        ({ kind }) => kind === 'PodDisruptionBudget',
      ) as KubernetesObject & { spec: { unhealthyPodEvictionPolicy?: string } };
      return budget.spec.unhealthyPodEvictionPolicy;
    };
    assert.equal(policyOf(), 'AlwaysAllow');
    const other = 'podDisruptionBudget.unhealthyPodEvictionPolicy=IfHealthyBudget';
    assert.equal(policyOf('--set', other), 'IfHealthyBudget');
    // As clouds number theirs.
    assert.equal(policyOf('--kube-version', 'v1.27.3-gke.100'), 'AlwaysAllow');
    assert.equal(policyOf('--kube-version', '1.26.9'), undefined);
  });

  it('claims a volume of the default class, of one by name, or of none', HELM, () => {
    const classOf = (storageClass: string): unknown => {
      const args = [
        '-f',
        join(CHART, 'ci', 'defaults.yaml'),
        '--set',
        `persistence.storageClass=${storageClass}`,
      ];
      const claim = validate(script.renderChart(findTool('helm')!, args)).find(
        ({ kind }) => kind === 'PersistentVolumeClaim',
      ) as KubernetesObject & { spec: { storageClassName?: string } };
      return claim.spec.storageClassName;
    };
    assert.equal(classOf(''), undefined);
    assert.equal(classOf('nfs'), 'nfs');
    assert.equal(classOf('-'), '');
  });

  it('says what is missing, and what cannot be', HELM, () => {
    const helm = findTool('helm')!;
    assert.throws(() => script.renderChart(helm, []), /nats\.urls is empty: name the NATS servers/);
    const bad = ['replicaCount=0', 'logLevel=loud', 'nats.urls={http://n}', 'group.lease=fast', 'nonsense=1'];
    for (const value of bad) {
      const args = ['--set', 'nats.urls={nats://n:4222}', '--set', value];
      assert.throws(() => script.renderChart(helm, args), /values don't meet the specifications/, value);
    }
    const good = ['-f', join(CHART, 'ci', 'defaults.yaml')];
    const twice = ['metrics.serviceMonitor.enabled=true', 'metrics.podMonitor.enabled=true'];
    assert.throws(
      () => script.renderChart(helm, [...good, ...twice.flatMap((value) => ['--set', value])]),
      /serviceMonitor and metrics\.podMonitor are both enabled/,
    );
    const label = 'podLabels.app\\.kubernetes\\.io/name=mine';
    assert.throws(
      () => script.renderChart(helm, [...good, '--set', label]),
      /podLabels: app\.kubernetes\.io\/name is "stanchion" on every pod/,
    );
  });
});

/** @throws what Kubernetes would say */
function validate(manifests: string): KubernetesObject[] {
  const objects = parseAllDocuments(manifests)
    .map((document) => {
      assert.deepEqual(document.errors, []);
      return document.toJS() as KubernetesObject | null;
    })
    .filter((object) => object !== null);
  assert.ok(objects.length > 0);
  for (const object of objects) {
    const Model = MODELS[object.kind];
    assert.ok(Model !== undefined, `a schema for ${object.kind}`);
    try {
      new Model(object as never).validate();
    } catch (error) {
      assert.fail(`${object.kind} ${object.metadata.name}: ${(error as Error).message}`);
    }
  }
  return objects;
}

interface Container {
  args: string[];
  env: { name: string; value?: string }[];
}

/** How the first broker would be started. Secrets are left out. */
function containerOf(objects: readonly KubernetesObject[]): {
  argv: string[];
  env: Record<string, string>;
  config: string;
} {
  const set = objects.find(({ kind }) => kind === 'StatefulSet') as KubernetesObject & {
    spec: { template: { spec: { containers: Container[] } } };
  };
  const map = objects.find(({ kind }) => kind === 'ConfigMap') as KubernetesObject & {
    data: Record<string, string>;
  };
  const container = set.spec.template.spec.containers[0]!;
  const env: Record<string, string> = { POD_NAME: `${set.metadata.name}-0` };
  // Files of two kinds exclude each other; the chart leaves the choice to whoever fills in values.
  for (const { name, value } of container.env)
    if (value !== undefined && name !== 'STANCHION_NKEY') env[name] = value;
  const [, ...args] = container.args;
  const argv = args.map((arg) => arg.replaceAll('$(POD_NAME)', env.POD_NAME!));
  return { argv, env, config: map.data['stanchion.yaml']! };
}
