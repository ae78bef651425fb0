import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { type Disk, nodeDisk } from '@holdfast/archive';
import { CodedError, systemClock, systemRandom } from '@holdfast/base';
import { remedyOf } from '../control/remedies.ts';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { archiveFolderIn, folderPlace, prepareFolder } from './folder-place.ts';

const archiveId = new Uint8Array(16).fill(9);
const { signal } = new AbortController();
const facts = { archiveId, known: undefined, keyRecords: [], clock: systemClock, random: systemRandom, signal };

function configOf(folder: string) {
  return { destinationId: 1, name: folder, kind: 'folder', folder } as const;
}

function newFolder(t: TestContext): string {
  const folder = temporaryFolder(t);
  prepareFolder(folder, archiveId);
  return folder;
}

/** The machine's disk, on which some writes to the state of sessions find no room. */
function fillingDisk(isFull: (writes: number) => boolean): { readonly disk: Disk; readonly openFiles: () => number } {
  let [writes, openFiles] = [0, 0];
  const { below: _, ...plain } = nodeDisk;
  const disk: Disk = {
    ...plain,
    open: async (file, mode) => {
      const opened = await nodeDisk.open(file, mode);
      openFiles++;
      return {
        ...opened,
        write: async (bytes, position) => {
          if (file.endsWith('/state') && isFull(++writes)) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
          await opened.write(bytes, position);
        },
        close: async () => {
          openFiles--;
          await opened.close();
        },
      };
    },
  };
  return { disk, openFiles: () => openFiles };
}

test('a folder on a disk that is full while a session opens is given back, and opens once there is room', async (t) => {
  const folder = newFolder(t);
  for (const failing of [1, 2]) {
    const { disk, openFiles } = fillingDisk((writes) => writes === failing);
    await assert.rejects(folderPlace(configOf(folder), disk).open(facts), { kind: 'unavailable' });
    assert.equal(openFiles(), 0);
    const session = await folderPlace(configOf(folder)).open(facts);
    await session.close();
  }
});

test('what is to be done about an emptied folder is said without the folder, since everybody on the computer sees it', async (t) => {
  const folder = temporaryFolder(t);
  const error = await folderPlace(configOf(folder))
    .open(facts)
    .then(
      () => assert.fail('nothing is there to open'),
      (reason: unknown) => reason,
    );
  assert.ok(error instanceof CodedError && error.code === 'destinations.away');
  const told = `${error.message} ${remedyOf(error)}`;
  assert.match(told, /gone for good: holdfast destination remove NAME/);
  assert.equal(told.includes(folder), false);
});

test('a link in the place of the archive in a folder is not followed, and a folder is opened by any way to it', async (t) => {
  const [folder, elsewhere] = [temporaryFolder(t), temporaryFolder(t)];
  symlinkSync(elsewhere, archiveFolderIn(folder, archiveId));
  assert.throws(() => prepareFolder(folder, archiveId), { code: 'destinations.not_a_folder' });
  await assert.rejects(folderPlace(configOf(folder)).open(facts), { code: 'log.not_a_file' });
  mkdirSync(path.join(elsewhere, 'archives'));
  symlinkSync(path.join(elsewhere, 'archives'), path.join(folder, 'other way'));
  prepareFolder(path.join(folder, 'other way'), archiveId);
  const session = await folderPlace(configOf(path.join(folder, 'other way'))).open(facts);
  await session.close();
});
