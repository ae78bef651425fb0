import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { BootedMachine, whyNoMachine } from './booted-machine.ts';
import { until } from './process-tree.ts';
import { newFolder } from './running-cloud.ts';

const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');
const unit = 'holdfast-agent.service';
const anna = 12_001;
const skip = whyNoMachine() ?? false;

/** The highest exposure that systemd may find, of 10: it reads all files and writes them for whoever asks. */
const mostExposure = 4;

/** A command of the product on the machine. */
function holdfast(machine: BootedMachine, ...args: readonly string[]) {
  const { status, stdout, stderr } = machine.run(process.execPath, launcher, ...args, '--json');
  const last = (status === 0 ? stdout : stderr).trim().split('\n').at(-1) ?? '';
  return { status, stdout, stderr, value: (last.startsWith('{') ? JSON.parse(last) : {}) as Record<string, unknown> };
}

/** A server of this test, in the machine's network, with an invitation for one device. */
async function serverIn(t: TestContext, machine: BootedMachine): Promise<{ url: string; token: string }> {
  const cwd = newFolder(t);
  const env = { ...process.env, HOLDFAST_HOME: path.join(cwd, 'home'), HOLDFAST_LISTEN: '127.0.0.1:8443' };
  const [file, ...args] = [...machine.enter('--net'), process.execPath, launcher, 'cloud', 'start'];
  const server = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise((resolve) => server.once('exit', resolve));
  afterwards(t, async () => {
    server.kill('SIGTERM');
    await ended;
  });
  await until(() => log.includes('"ready"') || server.exitCode !== null, 'the server', 120_000);
  const operate = (...words: readonly string[]) => {
    const ran = spawnSync(process.execPath, [launcher, 'cloud', ...words], { cwd, env, encoding: 'utf8' });
    assert.equal(ran.status, 0, ran.stderr + log);
    return ran.stdout;
  };
  operate('tenant', 'create', 'home');
  const token = operate('enrollment-token', '--tenant', 'home', '--out', '-');
  return { url: (JSON.parse(token) as { url: string }).url, token };
}

test(
  'the installed service enrols, protects, answers everybody, survives its death and stops whole',
  { skip },
  async (t) => {
    const machine = await BootedMachine.boot(t);
    const { url, token } = await serverIn(t, machine);
    const home = machine.seen('/home/anna');
    mkdirSync(home);
    writeFileSync(path.join(home, 'own'), 'of anna', { mode: 0o600 });
    for (const file of [home, path.join(home, 'own')]) chownSync(file, anna, anna);
    writeFileSync(machine.seen('/root/token'), token, { mode: 0o600 });

    const enrolled = holdfast(machine, 'agent', 'enroll', url, '--token-file', '/root/token');
    assert.equal(enrolled.status, 0, enrolled.stderr);
    assert.equal(enrolled.value['stateDir'], '/var/lib/holdfast');
    const installed = holdfast(machine, 'agent', 'install-service');
    assert.equal(installed.status, 0, installed.stderr);
    const stateOf = (what: string) =>
      machine.run('systemctl', 'show', '--value', `--property=${what}`, unit).stdout.trim();
    assert.deepEqual([stateOf('ActiveState'), stateOf('UnitFileState')], ['active', 'enabled']);

    const journal = () => machine.run('journalctl', '--no-pager', '--unit', unit).stdout;
    const isProtected = () => {
      const standings = holdfast(machine, 'status').value['standings'] as { state: string }[] | undefined;
      return standings?.length === 1 && standings[0]!.state === 'protected';
    };
    await until(isProtected, 'everything to be protected', 120_000).catch((error: unknown) => {
      throw new Error(`${holdfast(machine, 'status').stdout}\n${journal()}`, { cause: error });
    });
    const isListed = (file: string) => holdfast(machine, 'ls', file).status === 0;
    assert.ok(isListed('/home/anna/own'));
    // Whoever is on the machine may ask; the state is root's alone.
    const socket = statSync(machine.seen('/run/holdfast/agent.sock'));
    assert.deepEqual([socket.mode & 0o777, socket.uid], [0o666, 0]);
    assert.equal(statSync(machine.seen('/var/lib/holdfast')).mode & 0o777, 0o700);
    const as = (uid: number, ...args: readonly string[]) =>
      machine.run('setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', process.execPath, launcher, ...args);
    assert.equal(as(65_534, 'status').status, 0);
    assert.notEqual(as(65_534, 'ls', '/home/anna/own').status, 0);
    const asAnna = as(anna, 'restore', '/home/anna/own', '--to', '/home/anna/back');
    assert.equal(asAnna.status, 0, `${asAnna.stdout}${asAnna.stderr}\n${journal()}`);
    const back = path.join(home, 'back/own');
    assert.deepEqual([readFileSync(back, 'utf8'), statSync(back).uid], ['of anna', anna]);

    await t.test('it is hardened, and still brings back what only root may make', () => {
      const { stdout } = machine.run('systemd-analyze', 'security', '--no-pager', unit);
      const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
      t.diagnostic(`systemd-analyze security: ${exposure}`);
      assert.ok(exposure <= mostExposure, stdout);
      machine.run(
        'sh',
        '-c',
        'cd /root && cp /bin/true setuid && chmod 4755 setuid && mkfifo pipe && mknod null c 1 3',
      );
      machine.run('sh', '-c', 'cd /root && chown 7:7 pipe && (setcap cap_net_raw+ep setuid || true)');
      assert.equal(holdfast(machine, 'backup').status, 0);
      const restored = holdfast(machine, 'restore', '/root', '--to', '/srv/restored', '--setuid');
      assert.equal(restored.status, 0, restored.stderr + restored.stdout);
      const shown = (folder: string) =>
        machine.run('sh', '-c', `cd ${folder} && stat -c '%n %F %a %u %g %t %T' setuid pipe null && getcap setuid`)
          .stdout;
      assert.match(shown('/root'), /setuid regular file 4755 0 0[^]*character special/);
      assert.equal(shown('/srv/restored/root'), shown('/root'));
    });

    const pid = () => Number(stateOf('MainPID'));
    const before = pid();
    assert.equal(machine.run('kill', '-KILL', String(before)).status, 0);
    await until(() => ![0, before].includes(pid()), 'another agent', 60_000);
    writeFileSync(path.join(home, 'after its death'), '2');
    await until(() => isListed('/home/anna/after its death'), 'what came after its death', 120_000);
    assert.equal(machine.run('systemctl', 'restart', unit).status, 0);
    writeFileSync(path.join(home, 'after a restart'), '3');
    await until(() => isListed('/home/anna/after a restart'), 'what came after a restart', 120_000);
    await until(isProtected, 'everything to be protected', 120_000);

    const begun = performance.now();
    assert.equal(machine.run('systemctl', 'stop', unit).status, 0);
    t.diagnostic(`stopped in ${Math.round(performance.now() - begun)} ms`);
    assert.deepEqual([stateOf('ActiveState'), stateOf('Result'), stateOf('MainPID')], ['inactive', 'success', '0']);
    assert.doesNotMatch(machine.run('ps', '-e', '-o', 'args').stdout, /holdfast\.mjs/);
    assert.equal(existsSync(machine.seen('/run/holdfast/agent.sock')), false);
    assert.equal(holdfast(machine, 'status').status === 0, false, 'nobody answers');
    assert.ok(existsSync(machine.seen('/var/lib/holdfast/keys.json')), 'its state stays');
  },
);
