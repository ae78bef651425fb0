import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { afterwards, makeClone } from '@holdfast/testing';
import { until } from './process-tree.ts';
import { freePort, startUp } from './running-up.ts';

const guide = readFileSync(path.resolve(import.meta.dirname, '../docs/guide.md'), 'utf8');
const hasCurl = spawnSync('curl', ['--version']).status === 0;
const options = { timeout: 300_000, skip: !hasCurl && 'needs curl' };

test(
  'the API is reached as the guide and a new tenant say, and up prints a shell line that works elsewhere',
  options,
  async (t) => {
    const up = startUp(t, { cloneDir: makeClone(t), args: ['--no-agent', '--port', String(await freePort())] });
    const { handout } = await up.ready(120_000);
    const elsewhere = mkdtempSync(path.join(tmpdir(), 'holdfast elsewhere '));
    afterwards(t, () => rmSync(elsewhere, { recursive: true, force: true }));
    const shell = (script: string) => {
      const nodeFolder = path.dirname(process.execPath);
      const env = { ...process.env, PATH: `${nodeFolder}:${process.env['PATH'] ?? ''}`, HOLDFAST_HOME: up.homeDir };
      return spawnSync('sh', ['-c', script], { cwd: elsewhere, env, encoding: 'utf8', timeout: 120_000 });
    };
    const [, block = ''] = /^## The API$[^]*?^```$([^]*?)^```$/m.exec(guide) ?? [];
    const orgs = shell(block);
    assert.match(orgs.stdout, /^\{.*"orgGuid"/, `${orgs.stdout}\n${orgs.stderr}`);

    await until(() => /^Try:.*\n.*\n/m.test(up.stdout), 'the text to try', 10_000);
    const [, setup = ''] = /^Try:.*\n(.*)$/m.exec(up.stdout) ?? [];
    const made = shell(`unset HOLDFAST_HOME\n${setup}\nholdfast cloud tenant create acme`);
    assert.equal(made.status, 0, made.stderr);
    const [curl = ''] = /^ +curl .*$/m.exec(made.stdout) ?? [];
    const [, secret = ''] = /^API client .*\n +(\S+)$/m.exec(made.stdout) ?? [];
    assert.notEqual(secret, '');
    // As a person does who is asked for the password.
    const answered = shell(curl.replace('ca.pem', `'${handout.caFile}'`).replace(/-u (\S+)/, `-u $1:${secret}`));
    assert.match(answered.stdout, /"access_token":/, `${answered.stdout}\n${answered.stderr}`);
    assert.doesNotMatch(made.stdout, /\/t\/acme/, 'no page that is not there');

    const refused = shell(
      `unset HOLDFAST_HOME\n${setup}\nholdfast cloud tenant create other --admin "$(printf 'a\\nb')"`,
    );
    assert.deepEqual([refused.status, refused.stdout], [2, '']);
  },
);
