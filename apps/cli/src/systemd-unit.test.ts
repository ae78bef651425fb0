import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { engineEnvironment, engineNodeFlags } from '@holdfast/agent/engine/process';
import { systemdUnit } from './systemd-unit.ts';

const analyze = '/usr/bin/systemd-analyze';

test('a program in a folder with spaces and percent signs is quoted as systemd reads it', () => {
  const unit = systemdUnit({ nodePath: '/opt/node', program: '/root/a b/100%/bin/holdfast.mjs' });
  assert.match(
    unit,
    /^ExecStart=\/opt\/node --max-semi-space-size=2 "\/root\/a b\/100%%\/bin\/holdfast\.mjs" agent run --state \/var\/lib\/holdfast --socket \/run\/holdfast\/agent\.sock$/m,
  );
});

test('systemd takes the unit', { skip: !existsSync(analyze) && 'needs systemd-analyze' }, (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-unit-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'holdfast-agent.service');
  writeFileSync(file, systemdUnit({ nodePath: process.execPath, program: path.join(folder, 'holdfast.mjs') }));
  const said = execFileSync(analyze, ['verify', '--man=no', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  assert.equal(said, '');
});

test('the service starts the agent as every process of the engine is started', () => {
  const unit = systemdUnit({ nodePath: '/opt/node', program: '/opt/holdfast/apps/cli/bin/holdfast.mjs' });
  for (const flag of engineNodeFlags)
    assert.match(unit, new RegExp(`^ExecStart=/opt/node .*${flag} .*holdfast\\.mjs`, 'm'));
  const [line = ''] = /^Environment=.*$/m.exec(unit) ?? [];
  const stated = Object.entries(engineEnvironment('/var/lib/holdfast')).map(([name, value]) => `${name}=${value}`);
  assert.equal(line, `Environment=${stated.join(' ')}`);
});
