import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';

const onLinux = { skip: process.platform !== 'linux' && 'needs Linux' };

/**
 * What a process sees that starts another of its user and reads the memory of that: as an ordinary user, for root reads
 * everything. A parent, since some systems let nobody else read the memory of an open process either.
 */
async function readAsItsUser(how: 'closed' | 'open'): Promise<Record<string, string>> {
  const fixture = path.join(import.meta.dirname, 'memory-holder.fixture.ts');
  const script = `
    const { spawn } = require('node:child_process');
    const fs = require('node:fs');
    const child = spawn(process.execPath, [process.argv[1], process.argv[2]], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    child.once('message', () => {
      const seen = { core: /^Max core file size +(.*?) +bytes/m.exec(fs.readFileSync('/proc/' + child.pid + '/limits', 'utf8'))?.[1] };
      for (const file of ['mem', 'environ', 'maps', 'fd']) {
        try {
          if (file === 'fd') fs.readlinkSync('/proc/' + child.pid + '/fd/0');
          else fs.readSync(fs.openSync('/proc/' + child.pid + '/' + file), Buffer.alloc(1), 0, 1, file === 'mem' ? 0 : null);
          seen[file] = 'read';
        } catch (error) {
          // The first page is nobody's: whoever may read at all is told so by EIO.
          seen[file] = error.code === 'EIO' ? 'read' : error.code;
        }
      }
      child.kill('SIGKILL');
      process.stdout.write(JSON.stringify(seen));
    });`;
  // Root reads everything; in a namespace where it is nobody's root it is an ordinary user with the same files.
  const ordinary = ['--user', '--map-user=1', '--map-group=1', process.execPath];
  const [program, ...before] = process.getuid?.() === 0 ? ['unshare', ...ordinary] : [process.execPath];
  const reader = spawn(program, [...before, '-e', script, fixture, how], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  reader.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(reader, 'close');
  return JSON.parse(text) as Record<string, string>;
}

test(
  'another process of the same user reads no memory, environment or descriptor of one that is closed',
  onLinux,
  async () => {
    const closed = await readAsItsUser('closed');
    assert.match(closed['core'] ?? '', /^0 +0$/);
    for (const file of ['mem', 'environ', 'maps', 'fd']) assert.match(closed[file] ?? '', /^(EACCES|EPERM)$/, file);
    const open = await readAsItsUser('open');
    for (const file of ['mem', 'environ', 'maps', 'fd']) assert.equal(open[file], 'read', file);
  },
);

test('a process that is traced when it is to be closed refuses, and one that is not does not', onLinux, async () => {
  for (const [how, said] of [
    ['traced', 'keystore.traced'],
    ['closed', 'ready'],
  ] as const) {
    const fixture = path.join(import.meta.dirname, 'memory-holder.fixture.ts');
    const child = spawn(process.execPath, [fixture, how], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    try {
      const [message] = (await once(child, 'message')) as [string];
      assert.equal(message, said);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
});
