/** Whether a file with a secret is for this process alone, by what `stat` says of it. */

interface Owned {
  readonly mode: number;
  readonly uid: number;
}

const GROUP_OR_OTHERS = 0o077;
const BUT_GROUP_READS = 0o037;

/**
 * The rule of PostgreSQL. What is root's and its group may read was put there for this process: Kubernetes mounts a
 * secret so for its `fsGroup`, systemd a credential; nobody but root could change that.
 */
export function isExposed({ mode, uid }: Owned, ownUid: number | undefined): boolean {
  const isFromRoot = uid === 0 && ownUid !== 0;
  return (mode & (isFromRoot ? BUT_GROUP_READS : GROUP_OR_OTHERS)) !== 0;
}
