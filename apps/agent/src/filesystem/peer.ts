/** Who is at the other end of a Unix socket, as the kernel knows it. */
import type { Socket } from 'node:net';
import { fileErrors } from './errors.ts';
import { fail, native, scratchView, structOffset } from './native.ts';

/** The process that connected, with its user and group at that moment. A process number may be another's by now; decide by `uid`. */
export type Peer = { readonly processId: number; readonly uid: number; readonly gid: number };

/** The peer of a connected Unix socket. Throws `files.bad_descriptor` for a closed one and for one that is not local. */
export function peerOf(socket: Socket): Peer {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd = (handle as { readonly fd?: number } | null | undefined)?.fd;
  if (fd === undefined || fd < 0) throw fileErrors.bad_descriptor({ reason: 'the socket is closed' });
  return peerOfDescriptor(fd);
}

/** The peer of a connected Unix socket given by descriptor. */
export function peerOfDescriptor(fd: number): Peer {
  const { libc, address } = native();
  scratchView.setUint32(structOffset, credentialBytes, true);
  const credentials = structOffset + 16;
  if (libc.getsockopt(fd, socketLevel, peerCredentials, address + credentials, address + structOffset) !== 0) {
    fail('getsockopt');
  }
  const processId = scratchView.getInt32(credentials, true);
  const uid = scratchView.getUint32(credentials + 4, true);
  const gid = scratchView.getUint32(credentials + 8, true);
  // What the kernel answers for sockets that have no peer process, TCP among them.
  if (uid === nobodyKnown) throw fileErrors.bad_descriptor({ reason: 'the socket has no local peer' });
  return { processId, uid, gid };
}

const socketLevel = 1;
const peerCredentials = 17;
const credentialBytes = 12;
const nobodyKnown = 0xffff_ffff;
