// Recovery codes leave the page as a file or on paper. The file is made here; no address and no storage holds a code.
import { make, on } from './tools.js';

on('click', '[data-save-text]', (event, button) => {
  const lines = [...document.getElementById(button.dataset.saveText).children].map((item) => item.textContent.trim());
  const address = URL.createObjectURL(new Blob([`${lines.join('\n')}\n`], { type: 'text/plain' }));
  make('a', { href: address, download: button.dataset.saveAs }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
});
on('click', '[data-print]', () => window.print());
