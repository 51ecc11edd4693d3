// Pictures that are dropped on the form or pasted anywhere on the page are sent as if they had been chosen.
import { enhance, on, refresh, say } from './tools.js';

const TYPES = /^image\/(png|jpeg|webp|gif)$/;

function send(form, files) {
  const found = [...files];
  const pictures = found.filter((file) => TYPES.test(file.type));
  if (!found.length) return;
  if (!pictures.length) {
    form.querySelector('[data-drop-note]').textContent = 'That is no PNG, JPEG, WebP or GIF.';
    return;
  }
  const chosen = new DataTransfer();
  for (const file of pictures.slice(0, Number(form.dataset.most) || 200)) chosen.items.add(file);
  form.elements.files.files = chosen.files;
  say(`Sending ${pictures.length === 1 ? 'a picture' : `${pictures.length} pictures`}…`);
  form.requestSubmit();
}

const carries = (event) => [...(event.dataTransfer?.types || [])].includes('Files');

enhance('[data-drop]', (form) => {
  let depth = 0;
  const over = (on) => form.toggleAttribute('data-over', on);
  form.addEventListener('dragenter', (event) => { if (carries(event)) { depth += 1; over(true); } });
  form.addEventListener('dragleave', () => { depth = Math.max(depth - 1, 0); over(depth > 0); });
  form.addEventListener('dragover', (event) => { if (carries(event)) event.preventDefault(); });
  form.addEventListener('drop', (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth = 0;
    over(false);
    send(form, event.dataTransfer.files);
  });
});

document.addEventListener('paste', (event) => {
  const form = document.querySelector('[data-drop]');
  const files = event.clipboardData?.files || [];
  if (!form || !files.length) return;
  event.preventDefault();
  send(form, files);
});

// A picture that misses the form must not take its place: browsers open what is dropped on a page.
on('dragover', 'body', (event) => { if (carries(event)) event.preventDefault(); });
on('drop', 'body', (event) => { if (carries(event)) event.preventDefault(); });

refresh(document);
