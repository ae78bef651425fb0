/** What is said of takeovers. Names come from another computer, a file or the server: none of them makes a line of its own. */
import type { FoundArchive } from '@holdfast/agent/takeover';
import { shownOf } from '@holdfast/sdk';
import { bytesText, timeText } from '../figures.ts';

/** A hand-over as the agent of the old computer made it. */
export type MadeHandOver = {
  readonly document: string;
  readonly fingerprint: string;
  readonly expiresAt: string;
  readonly newDevice: { readonly name: string; readonly deviceUid: string };
};

/** What a person is asked to confirm; the fingerprint goes first, before anything that the request says of itself. */
export function askedText({ fingerprint, newDevice }: MadeHandOver): string {
  return `The screen of the new computer must show this fingerprint: ${fingerprint}
It calls itself ${oneLine(newDevice.name)} (${oneLine(newDevice.deviceUid)}), and asks for the archive of this computer.`;
}

/** Who asks to replace a computer, before somebody signs for it; the fingerprint goes first, as above. */
export function newComputerText(request: {
  readonly fingerprint: string;
  readonly name: string;
  readonly newDeviceUid: string;
  readonly device: string;
}): string {
  const { fingerprint, name, newDeviceUid, device } = request;
  return `The screen of the new computer must show this fingerprint: ${fingerprint}
It calls itself ${oneLine(name)} (${oneLine(newDeviceUid)}), and asks for the archive of ${oneLine(device)}.`;
}

/** Where an approval is, what it is for, and what to do with it. */
export function approvedText(
  file: string,
  approved: {
    readonly archiveId: string;
    readonly deviceUid: string;
    readonly deviceName: string;
    readonly expiresAt: string;
    readonly name: string;
  },
): string {
  const { archiveId, deviceUid, deviceName, expiresAt, name } = approved;
  return `The approval is ${file}: for ${oneLine(name)}, once, until ${timeText(expiresAt)}. It opens nothing.
It is for the archive ${archiveId}; the server says: of ${oneLine(deviceName)} (${deviceUid}), which backs up to it no more from then on.
Carry it there, and there: holdfast agent enroll --replace ${deviceUid} --approval FILE, with what opens the archive`;
}

/** Where the hand-over is, and what to do with it. */
export function handedText(file: string, { expiresAt, newDevice }: MadeHandOver): string {
  return `The hand-over is ${file}. Carry it to ${oneLine(newDevice.name)}, and there: holdfast agent enroll --replace DEVICE --hand-over FILE
It is of use once, until ${timeText(expiresAt)}. Until then this computer goes on; after that it backs up to this archive no more.`;
}

/** What is said of the archive before it is taken over. */
export type FoundFacts = {
  readonly takeover: Pick<FoundArchive['takeover'], 'archiveId' | 'device' | 'storedBytes' | 'proof'>;
  readonly contents: Pick<FoundArchive['contents'], 'head' | 'unreadSets'> & {
    readonly sets: readonly Pick<FoundArchive['contents']['sets'][number], 'name' | 'includes'>[];
  };
  readonly opened: Pick<FoundArchive['opened'], 'hasCarriedSlots'> & {
    readonly problems: readonly Pick<FoundArchive['opened']['problems'][number], 'problem'>[];
  };
};

/** What would be taken over. */
export function foundText({ takeover, contents, opened }: FoundFacts): string {
  const { device, archiveId, storedBytes } = takeover;
  const { head, sets, unreadSets } = contents;
  const newest = head ? `${timeText(new Date(head.atMs).toISOString())}, number ${head.number}` : 'none yet';
  const lines = [
    `This is the archive of ${device.name} (${device.deviceUid}), last heard of ${timeText(device.lastSeenAt ?? undefined)}:`,
    `  archive        ${archiveId}, ${bytesText(storedBytes)} stored`,
    `  newest commit  ${newest}`,
    ...sets.map(({ name, includes }) => `  backup set     ${name}: ${includes.join(', ')}`),
    ...unreadSets.map((name) => `  backup set     ${name}: of a newer version, does not come along`),
    ...opened.problems.map(({ problem }) => `  not proven     ${problem}`),
    ...(opened.hasCarriedSlots
      ? []
      : ['  A password or custom key does not come along: set it again; so does the recovery code.']),
    `From then on ${device.name} backs up to it no more.`,
  ];
  return lines.map(oneLine).join('\n');
}

/** What to do next. */
export function doneText({ takeover, opened }: FoundFacts): string {
  const byCode = takeover.proof === 'recovery_code' || !opened.hasCarriedSlots;
  const code = byCode ? '\nThen make a new recovery code, since this one was used: holdfast key show-recovery' : '';
  return `This computer goes on with the archive of ${oneLine(takeover.device.name)}. Start it: holdfast agent run${code}`;
}

function oneLine(text: string): string {
  return String(shownOf(text)).replaceAll(/[\t\n\p{Zl}\p{Zp}]/gu, '\uFFFD');
}
