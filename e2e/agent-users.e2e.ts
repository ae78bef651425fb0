import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { makeClone } from '@holdfast/testing';
import { RunningAgentProcess } from './running-agent.ts';

const skip = process.getuid?.() !== 0 && 'needs root';
const [anna, bert, nobody] = [12_001, 12_002, 65_534];
const codeOf = (value: Readonly<Record<string, unknown>>) => (value['error'] as { code: string } | undefined)?.code;

/** An agent of the whole computer, with two people's folders. */
async function sharedAgent(t: Parameters<Parameters<typeof test>[0] & object>[0]) {
  // A checkout below /root is only root's.
  const agent = new RunningAgentProcess(t, { productDir: makeClone(t) });
  for (const [name, uid] of [
    ['anna', anna],
    ['bert', bert],
  ] as const) {
    const file = agent.write(`${name}/private of ${name}`, `secret of ${name}`);
    chownSync(file, uid, uid);
    chmodSync(file, 0o600);
    chownSync(path.dirname(file), uid, uid);
    chmodSync(path.dirname(file), 0o700);
  }
  chmodSync(agent.write('public', 'for all'), 0o644);
  chmodSync(agent.tree, 0o755);
  await agent.start();
  // As the service does it: everybody may connect, and root decides who may do what.
  for (const folder of [path.dirname(agent.stateDir), agent.stateDir]) chmodSync(folder, 0o711);
  chmodSync(agent.socketPath, 0o666);
  agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  return agent;
}

test('two users of one computer see their own names and files and not each other’s', { skip }, async (t) => {
  const agent = await sharedAgent(t);
  const as = (uid: number, ...args: string[]) => agent.runWith({ uid }, ...args);
  const pathsOf = (value: Readonly<Record<string, unknown>>) =>
    (value['entries'] as { path: string }[]).map(({ path: each }) => path.relative(agent.tree, each));
  assert.deepEqual(pathsOf(agent.run('ls', agent.tree).value), ['anna', 'bert', 'public']);
  assert.deepEqual(pathsOf(as(anna, 'ls', agent.tree).value), ['anna', 'public']);
  assert.deepEqual(pathsOf(as(bert, 'ls', agent.tree).value), ['bert', 'public']);
  assert.deepEqual(pathsOf(as(nobody, 'ls', agent.tree).value), ['public']);
  assert.deepEqual(pathsOf(as(anna, 'find', 'private*').value), ['anna/private of anna']);
  const own = path.join(agent.tree, 'anna/private of anna');
  const other = path.join(agent.tree, 'bert/private of bert');
  assert.equal(as(anna, 'versions', own).status, 0);
  for (const [command, code] of [
    ['versions', 'browse.never_there'],
    ['ls', 'browse.not_found'],
  ] as const) {
    const refused = as(anna, command, other);
    const unknown = as(anna, command, path.join(agent.tree, 'bert/no such file'));
    assert.deepEqual([codeOf(refused.value), codeOf(unknown.value)], [code, code]);
  }
  assert.equal(as(bert, 'ls', path.dirname(other)).status, 0);

  const to = path.join(agent.folder, 'home of anna');
  mkdirSync(to);
  chownSync(to, anna, anna);
  const restored = as(anna, 'restore', own, '--to', to);
  assert.equal(restored.status, 0, restored.stderr + agent.log);
  const file = path.join(to, 'private of anna');
  assert.equal(readFileSync(file, 'utf8'), 'secret of anna');
  assert.deepEqual([statSync(file).uid, statSync(file).mode & 0o7777], [anna, 0o600]);
  assert.notEqual(as(anna, 'restore', other, '--to', to).status, 0);
  assert.equal(existsSync(path.join(to, 'private of bert')), false);
  const everything = as(anna, 'restore', agent.tree, '--to', to);
  assert.equal(everything.status, 0, everything.stderr);
  assert.equal(existsSync(path.join(to, 'tree/bert')), false);
  assert.ok(existsSync(path.join(to, 'tree/public')));
});

test('nobody gets status and why, without a path of others, and nothing else', { skip }, async (t) => {
  const agent = await sharedAgent(t);
  const as = (...args: string[]) => agent.runWith({ uid: nobody }, ...args);
  const status = as('status');
  assert.equal(status.status, 0, status.stderr);
  assert.equal(status.stdout.includes(agent.folder), false, status.stdout);
  assert.doesNotMatch(status.stdout, /recovery/);
  assert.match(agent.run('status').stdout, /recovery/);
  const why = as('why', path.join(agent.tree, 'bert/private of bert'));
  assert.deepEqual([why.status, why.value['status'], why.value['newest']], [0, 'selected', undefined]);
  const refused: readonly (readonly string[])[] = [
    ['backup'],
    ['verify'],
    ['set', 'list'],
    ['set', 'add', 'mine', '/etc'],
    ['destination', 'list'],
    ['destination', 'add', '/tmp'],
    ['key', 'show-recovery'],
    ['key', 'export', '--out', path.join('/tmp', `key of nobody ${process.pid}`)],
  ];
  for (const args of refused) {
    const ended = as(...args);
    assert.deepEqual([ended.status, codeOf(ended.value)], [4, 'control.not_allowed'], args.join(' '));
  }
  const file = path.join(agent.tree, 'public');
  assert.notEqual(as('restore', file, '--to', '/etc/holdfast-nobody').status, 0);
  assert.equal(existsSync('/etc/holdfast-nobody'), false);
  assert.equal(codeOf(as('restore', file, '--to', agent.folder, '--setuid').value), 'control.not_allowed');
  assert.equal(agent.run('key', 'export', '--out', path.join(agent.folder, 'key')).status, 0);
});

test('malformed requests are answered with a declared error, and the agent goes on', async (t) => {
  const agent = new RunningAgentProcess(t);
  await agent.start();
  const lines = [
    '',
    'null',
    '[]',
    '"status"',
    '{',
    '\u0000',
    '{"request":1}',
    '{"request":"nope"}',
    '{"request":"__proto__"}',
    '{"request":"constructor"}',
    '{"request":"status","more":1}',
    '{"request":"ls"}',
    '{"request":"ls","path":"relative"}',
    '{"request":"ls","path":"/a/../b"}',
    '{"request":"ls","path":7}',
    '{"request":"find","pattern":"***"}',
    '{"request":"restore","paths":[]}',
    '{"request":"restore","paths":["/x"],"onConflict":"explode"}',
    '{"request":"set.add","set":null}',
    '{"request":"set.change","name":"home","set":[]}',
    `{"request":"ls","path":"/${'x'.repeat(70_000)}"}`,
    '['.repeat(200_000),
  ];
  for (const line of lines) {
    const answer = JSON.parse(await say(agent.socketPath, `${line}\n`)) as { error?: { code: string; kind: string } };
    assert.match(String(answer.error?.code), /^[a-z_]+\.[a-z_]+$/, line.slice(0, 60));
    assert.notEqual(answer.error?.code, 'control.fault', line.slice(0, 60));
  }
  const tooLong = JSON.parse(await say(agent.socketPath, 'x'.repeat(1_200_000))) as { error: { code: string } };
  assert.equal(tooLong.error.code, 'control.invalid');
  assert.match(await say(agent.socketPath, '{"request":"status"}\n'), /"result"/);
  assert.equal(agent.child?.exitCode, null);
});

/** Sends bytes; the first line that comes back. */
function say(socketPath: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath, () => socket.write(text));
    let answer = '';
    socket.setTimeout(20_000, () => reject(new Error(`no answer to ${text.slice(0, 60)}`)));
    socket.on('error', (error) => (answer.includes('\n') ? undefined : reject(error)));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
      if (!answer.includes('\n')) return;
      socket.destroy();
      resolve(answer.split('\n')[0]!);
    });
  });
}
