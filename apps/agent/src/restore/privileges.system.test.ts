import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import type { RestoreReport } from '@holdfast/archive';
import {
  getExtendedAttribute,
  makeSpecialFile,
  nameBytes,
  openDirectory,
  openPlace,
  setExtendedAttribute,
  withDescriptor,
} from '../filesystem/index.ts';
import { removeTree } from '../filesystem/remove-tree.ts';
import { RestoringDevice } from './testing.ts';

const needsRoot = process.getuid?.() !== 0 && 'needs root';
const nobody = 65_534;
/** Version 2, effective, cap_net_bind_service permitted: struct vfs_cap_data of linux/capability.h. */
const capability = Uint8Array.of(1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

function attributeOf(folder: string, name: string, attribute: string): Uint8Array | undefined {
  return withDescriptor(openDirectory(folder), (fd) =>
    withDescriptor(openPlace(fd, nameBytes(name)), (place) => getExtendedAttribute(place, nameBytes(attribute))),
  );
}

function setAttributeOf(folder: string, name: string, attribute: string, value: Uint8Array): void {
  withDescriptor(openDirectory(folder), (fd) =>
    withDescriptor(openPlace(fd, nameBytes(name)), (place) => setExtendedAttribute(place, nameBytes(attribute), value)),
  );
}

function privilegedTree(t: TestContext): { device: RestoringDevice; tree: string } {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  for (const [name, mode] of [
    ['setuid', 0o4755],
    ['setgid', 0o2755],
    ['plain', 0o640],
    ['capable', 0o755],
  ] as const) {
    writeFileSync(`${tree}/${name}`, name);
    chmodSync(`${tree}/${name}`, mode);
  }
  mkdirSync(`${tree}/sticky`);
  chmodSync(`${tree}/sticky`, 0o1777);
  mkdirSync(`${tree}/shared`);
  chmodSync(`${tree}/shared`, 0o2775);
  return { device, tree };
}

function modesIn(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name, (lstatSync(`${folder}/${name}`).mode & 0o7777).toString(8)]),
  );
}

test('setuid and setgid bits and capabilities come back on request only', { skip: needsRoot }, async (t) => {
  const { device, tree } = privilegedTree(t);
  setAttributeOf(tree, 'capable', 'security.capability', capability);
  await device.backup(tree);
  const common = { plain: '640', capable: '755', sticky: '1777' };
  for (const sync of ['batch', 'end'] as const) {
    const without = device.newFolder(`without ${sync}`);
    const report = await device.restore(tree, without, { setuid: false, sync });
    assert.deepEqual(modesIn(without), { ...common, setuid: '755', setgid: '755', shared: '775' });
    assert.equal(attributeOf(without, 'capable', 'security.capability'), undefined);
    assert.equal(report.notes.privilegesWithheld, 4);
    const given = device.newFolder(`given ${sync}`);
    const full = await device.restore(tree, given, { setuid: true, sync });
    assert.deepEqual(modesIn(given), { ...common, setuid: '4755', setgid: '2755', shared: '2775' });
    assert.deepEqual(attributeOf(given, 'capable', 'security.capability'), capability);
    assert.equal(full.notes.privilegesWithheld, 0);
  }
});

test('left to whoever restores, a file of another owner never gets the setuid bit', { skip: needsRoot }, async (t) => {
  const { device, tree } = privilegedTree(t);
  chownSync(`${tree}/setuid`, 1234, 1234);
  chmodSync(`${tree}/setuid`, 0o4755);
  await device.backup(tree);
  const target = device.newFolder('target');
  await device.restore(tree, target, { setuid: true, owners: 'caller' });
  const { mode, uid } = lstatSync(`${target}/setuid`);
  assert.deepEqual([uid, (mode & 0o7777).toString(8)], [0, '755']);
  assert.equal(modesIn(target)['setgid'], '2755');
});

test('access lists of a folder that was there are not handed down to what is restored', async (t) => {
  const { device, tree } = privilegedTree(t);
  mkdirSync(`${tree}/folder`);
  writeFileSync(`${tree}/folder/inner`, 'inner');
  await device.backup(tree);
  const target = device.newFolder('target');
  // Version 2; owner rwx, user 65534 rwx, group r-x, mask rwx, others none: struct posix_acl_xattr of linux/posix_acl_xattr.h.
  const entries = [
    [1, 7, 0xffffffff],
    [2, 7, nobody],
    [4, 5, 0xffffffff],
    [16, 7, 0xffffffff],
    [32, 0, 0xffffffff],
  ] as const;
  const list = new Uint8Array(4 + 8 * entries.length);
  const view = new DataView(list.buffer);
  view.setUint32(0, 2, true);
  for (const [index, [tag, permissions, subject]] of entries.entries()) {
    view.setUint16(4 + index * 8, tag, true);
    view.setUint16(6 + index * 8, permissions, true);
    view.setUint32(8 + index * 8, subject, true);
  }
  setAttributeOf(device.folder, 'target', 'system.posix_acl_default', list);
  writeFileSync(`${target}/heir`, 'made by anybody else');
  assert.ok(attributeOf(target, 'heir', 'system.posix_acl_access'), 'the file system hands lists down');
  await device.restore(tree, target, { setuid: false });
  for (const [folder, name] of [
    [target, 'plain'],
    [target, 'folder'],
    [`${target}/folder`, 'inner'],
  ] as const) {
    assert.equal(attributeOf(folder, name, 'system.posix_acl_access'), undefined);
    assert.equal(attributeOf(folder, name, 'system.posix_acl_default'), undefined);
  }
});

test(
  'an ordinary user gets everything but what only root may give, and hears of that',
  { skip: needsRoot },
  async (t) => {
    const { device, tree } = privilegedTree(t);
    setAttributeOf(tree, 'plain', 'trusted.holdfast', nameBytes('root only'));
    symlinkSync('plain', `${tree}/link`);
    withDescriptor(openDirectory(tree), (fd) => {
      makeSpecialFile(fd, nameBytes('device'), 0o600, { type: 'character_device', major: 1, minor: 3 });
      makeSpecialFile(fd, nameBytes('fifo'), 0o600, { type: 'fifo' });
    });
    await device.backup(tree);
    const { archiveId, ring } = device.keys;
    const planPath = device.newPlanPath();
    (await device.plan(tree, { planPath })).close();
    const target = device.newFolder('target');
    const work = device.newFolder('work');
    writeFileSync(`${work}/records`, Buffer.concat([...device.destination.records.values()]));
    const epochs = ring.epochs.map(({ number, key }) => ({ number, key: key.toHex() }));
    const job = { planPath, target, recordsPath: `${work}/records`, archiveId: archiveId.toHex(), epochs, sync: 'end' };
    writeFileSync(`${work}/job.json`, JSON.stringify(job));
    chownSync(planPath, nobody, nobody);
    chownSync(device.folder, nobody, nobody);
    chownSync(target, nobody, nobody);
    const report = await restoreAsNobody(`${work}/job.json`);
    assert.deepEqual(
      report.failed.map(({ code }) => code),
      ['restore.not_permitted'],
    );
    assert.equal(report.restored, 6);
    assert.ok(report.notes.ownersNotSet >= 6);
    assert.equal(report.notes.attributesNotSet, 1);
    assert.equal(report.notes.privilegesWithheld, 3);
    const { device: none, ...modes } = modesIn(target);
    assert.equal(none, undefined);
    assert.deepEqual(
      { setuid: modes['setuid'], setgid: modes['setgid'], plain: modes['plain'], sticky: modes['sticky'] },
      { setuid: '755', setgid: '755', plain: '640', sticky: '1777' },
    );
    assert.ok(readdirSync(target).every((name) => lstatSync(`${target}/${name}`).uid === nobody));
  },
);

/** The script loads everything as root and then becomes nobody, as the agent's child does: the checkout may lie below /root. */
async function restoreAsNobody(jobPath: string): Promise<RestoreReport> {
  const script = decodeURIComponent(new URL('restore-in-child.ts', import.meta.url).pathname);
  const child = spawn(process.execPath, [script, jobPath, String(nobody)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const line = output.split('\n').findLast((each) => each.startsWith('report '));
  assert.ok(line, output);
  return JSON.parse(line.slice('report '.length)) as RestoreReport;
}
