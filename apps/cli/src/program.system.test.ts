import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from './program.ts';

const launcher = path.resolve(import.meta.dirname, '../bin/holdfast.mjs');

function run(...args: string[]) {
  const cwd = mkdtempSync(path.join(tmpdir(), 'holdfast cli '));
  const env = { ...process.env, HOLDFAST_HOME: path.join(cwd, 'home') };
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], { cwd, env, encoding: 'utf8' });
  rmSync(cwd, { recursive: true });
  return { status, stdout, stderr };
}

function allCommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

test('every command explains itself, and each that does something takes --json', () => {
  const commands = allCommands(createProgram());
  assert.ok(commands.length >= 6);
  for (const command of commands) {
    const help = command.helpInformation();
    assert.notEqual(command.description(), '');
    assert.match(help, /^Usage: holdfast/);
    assert.equal(help.includes('--json'), command.commands.length === 0, command.name());
  }
  const { status, stdout, stderr } = run('cloud', 'doctor', '--help');
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^Usage: holdfast cloud doctor/);
});

test('what is not understood ends with 2 and says why, as text and as JSON', () => {
  for (const args of [
    ['nope'],
    ['up', 'extra'],
    ['up', '--nope'],
    ['up', '--port', '0'],
    ['up', '--port', '65536'],
    ['up', '--port'],
  ]) {
    const asText = run(...args);
    assert.deepEqual([asText.status, asText.stdout], [2, ''], args.join(' '));
    assert.match(
      asText.stderr,
      /^holdfast: The command is not understood \(command\.invalid\)\n {2}reason: .+\nWhat to do: /,
    );
    const asJson = run(...args, '--json');
    assert.equal(asJson.status, 2);
    const { error } = JSON.parse(asJson.stderr) as { error: Record<string, unknown> };
    assert.deepEqual([error['code'], error['kind']], ['command.invalid', 'invalid']);
  }
});

test('a group named without a command shows its help and ends with 2', () => {
  for (const args of [[], ['cloud']]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 2);
    assert.match(stderr, /^Usage: holdfast/);
  }
});

test('errors end with the code of their kind and name what to do', () => {
  const trust = run('cloud', 'trust-ca');
  assert.equal(trust.status, 5);
  assert.match(trust.stderr, /home\.not_found[^]*What to do: run holdfast up first/);
  const doctor = run('cloud', 'doctor', '--json');
  assert.equal(doctor.status, 8);
  const { findings } = JSON.parse(doctor.stdout) as { findings: { subject: string; state: string }[] };
  assert.deepEqual(
    findings.map(({ subject, state }) => [subject, state]),
    [['home', 'failed']],
  );
});
