// A backup: settings, scenes and saved pieces as one file. Loaded when somebody asks for it.

import { element } from './dom.js';
import { TEXTS } from './texts.js';

/** Draw into `host` what saves a backup and restores one; `onRestored()` is called after that. */
export function drawBackup(host, session, onRestored) {
  const save = element('a', {
    className: 'button', href: 'api/backup', download: '', textContent: TEXTS.backup.save,
  });
  const file = element('input', { type: 'file', accept: '.json' });
  const label = element('label', { textContent: TEXTS.backup.file });
  label.append(file);
  // Settings are lost by it, so that choosing a file does not do it yet.
  const restore = element('button', { type: 'button', hidden: true, textContent: TEXTS.backup.restore });
  const status = element('p', {});
  status.setAttribute('role', 'status');
  file.addEventListener('change', () => {
    restore.hidden = !file.files.length;
    status.textContent = file.files.length ? TEXTS.backup.replaces : '';
  });
  restore.addEventListener('click', async () => {
    restore.hidden = true;
    status.textContent = TEXTS.backup.restoring;
    status.textContent = await sendBackup(file.files[0], session, onRestored);
    file.value = '';
  });
  const first = element('p', {});
  first.append(save);
  host.append(element('p', { textContent: TEXTS.backup.explanation }), first, label, status, restore);
}

/** Restore the file; resolves to what to say. */
async function sendBackup(file, session, onRestored) {
  try {
    // As it is: numbers that JavaScript would round are in it.
    const response = await session.send('POST', 'api/backup', await file.text());
    const answer = await response.json();
    if (!response.ok) return answer.error;
    onRestored();
    return [TEXTS.backup.done, ...answer.warnings].join(' ');
  } catch {
    return TEXTS.not_connected;
  }
}
