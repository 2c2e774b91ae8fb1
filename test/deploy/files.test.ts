import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { needs, runTool } from './tools.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DEBIAN = (name: string): string => `Debian's package ${name}`;

describe('what is there for running it', () => {
  it(
    'has alert rules that fire when they should, and only then',
    needs('promtool', DEBIAN('prometheus')),
    () => {
      const folder = join(ROOT, 'deploy', 'prometheus');
      runTool('promtool', ['check', 'rules', join(folder, 'stanchion.rules.yaml')]);
      runTool('promtool', ['test', 'rules', join(folder, 'tests', 'alerts.yaml')]);
      runTool('promtool', ['check', 'config', '--syntax-only', join(folder, 'prometheus.yml')]);
    },
  );

  it('tests each alert, and says what to do about it', () => {
    const rules = parse(read('deploy/prometheus/stanchion.rules.yaml')) as {
      groups: { rules: { alert: string; annotations: Record<string, string> }[] }[];
    };
    const tests = read('deploy/prometheus/tests/alerts.yaml');
    const docs = read('docs/alerts.md');
    for (const { alert, annotations } of rules.groups.flatMap((group) => group.rules)) {
      assert.match(
        tests,
        new RegExp(`alertname: ${alert}, exp_alerts: \\[\\]`),
        `${alert} is tested not firing`,
      );
      assert.match(
        tests,
        new RegExp(`alertname: ${alert}(\\n|, exp_alerts: \\[\\{)`),
        `${alert} is tested firing`,
      );
      assert.match(docs, new RegExp(`^## ${alert}$`, 'm'), `docs/alerts.md has ${alert}`);
      assert.equal(annotations.runbook, `docs/alerts.md#${alert.toLowerCase()}`);
    }
  });

  it('takes a job in a namespace for a group, in alert rules and in the dashboard for Grafana', () => {
    for (const path of ['helm/stanchion/files/stanchion.rules.yaml', 'deploy/grafana/stanchion.json']) {
      const text = readFileSync(join(ROOT, path), 'utf8');
      const groupings = [...text.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].map(([, labels]) =>
        labels!.split(', '),
      );
      const byJob = groupings.filter((labels) => labels.includes('job'));
      assert.ok(byJob.length > 10, path);
      for (const labels of byJob)
        assert.ok(labels.includes('namespace'), `${path}: by (${labels.join(', ')})`);
      // Two groups of one job would have one name.
      const names = [...text.matchAll(/"(?:legendFormat|titleFormat)": "([^"]*)"/g)].map(([, name]) => name!);
      for (const name of names.filter((each) => each.includes('{{job}}')))
        assert.match(name, /\{\{namespace\}\}/);
    }
  });

  it(
    'has a compose file that docker-compose takes',
    needs('docker-compose', DEBIAN('docker-compose')),
    () => {
      const config = runTool('docker-compose', ['-f', 'docker-compose.ft.yml', 'config'], ROOT);
      const { services } = parse(config) as { services: Record<string, { read_only?: boolean }> };
      assert.deepEqual(Object.keys(services).sort(), [
        'grafana',
        'nats-1',
        'nats-2',
        'nats-3',
        'prometheus',
        'stan-1',
        'stan-2',
        'stan-3',
      ]);
      assert.equal(services['stan-1']!.read_only, true);
    },
  );

  it('has a compose file that builds the image of all brokers once, before any of them starts', () => {
    interface Service {
      image: string;
      build?: object;
      pull_policy?: string;
      depends_on: string[];
    }
    const file = readFileSync(join(ROOT, 'docker-compose.ft.yml'), 'utf8');
    const { services } = parse(file, { merge: true }) as { services: Record<string, Service> };
    const brokers = Object.entries(services).filter(([name]) => name.startsWith('stan-'));
    assert.equal(brokers.length, 3);
    assert.equal(new Set(brokers.map(([, { image }]) => image)).size, 1);
    const builders = brokers.filter(([, { build }]) => build !== undefined);
    assert.deepEqual(
      builders.map(([name]) => name),
      ['stan-1'],
    );
    for (const [name, service] of brokers.filter((each) => !builders.includes(each))) {
      assert.equal(service.pull_policy, 'never', `${name}: nobody has it but who builds it`);
      assert.ok(service.depends_on.includes('stan-1'), name);
    }
  });

  it('has units that systemd takes', needs('systemd-analyze', 'systemd'), () => {
    // What it runs is not installed here; everything else must be right.
    const output =
      runUnit('deploy/systemd/stanchion.service') + runUnit('deploy/systemd/srv-stanchion.mount');
    const complaints = output.split('\n').filter((line) => line !== '' && !/is not executable/.test(line));
    assert.deepEqual(complaints, []);
  });
});

function runUnit(path: string): string {
  try {
    return runTool('systemd-analyze', ['verify', path], ROOT);
  } catch (error) {
    return (error as Error).message.split('\n').slice(1).join('\n');
  }
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}
