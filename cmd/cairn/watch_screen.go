package main

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"cairn/chain"
	"cairn/rpc"
)

const (
	screenEvery = 500 * time.Millisecond // between two looks at nodes that tell no events
	screenClock = time.Second            // and at those that do: ages and rates go on
	screenPatch = 10 * time.Second       // a look that takes longer has failed
)

// The panels that keys scroll.
const (
	matrixPanel = iota
	nodesPanel
	eventsPanel
	panels
)

// What the screen shows.
const (
	mainPage = iota
	txPage
	helpPage
)

// screen is the live view's state; Bubble Tea owns it. What it draws depends on
// nothing else.
type screen struct {
	ctx   context.Context
	eyes  looker
	bell  *bell          // nil never rings
	until int64          // 0 is for ever
	title string         // beside the program's name
	pay   func() tea.Msg // nil where there is nothing to pay with

	width, height int
	now           *scene       // nil before the first look
	also          []chain.Hash // to be followed, that no look knows of yet
	sent          int          // of them, with the look under way
	trouble       string       // why the last look failed
	since         time.Time
	note          string // of the last payment
	paused        bool
	looking       bool
	took          time.Duration // the last look
	ticket        int           // of the tick that counts
	events        []event       // the newest first
	tracks        map[chain.Hash]*track

	page, focus, column, cursor int
	scroll                      [panels]int
	pageScroll                  int
	end                         error // with which --until ended it
}

type (
	lookedMsg struct {
		scene *scene
		err   error
		at    time.Time
		took  time.Duration
	}
	tickMsg int
	paidMsg struct {
		id  chain.Hash
		err error
	}
)

// Init takes the first look.
func (s *screen) Init() tea.Cmd { return s.lookNow() }

// lookNow takes a look beside the screen, unless one is under way.
func (s *screen) lookNow() tea.Cmd {
	if s.looking {
		return nil
	}
	s.looking = true
	s.sent = len(s.also)
	also := slices.Clone(s.also)
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(s.ctx, screenPatch)
		defer cancel()
		began := time.Now()
		scene, err := s.eyes.look(ctx, also)
		return lookedMsg{scene, err, time.Now(), time.Since(began)}
	}
}

// lookSoon takes a look when there may be news. Only the last call of it counts.
func (s *screen) lookSoon() tea.Cmd {
	s.ticket++
	mine := tickMsg(s.ticket)
	rest := s.took // many nodes have something to tell at any time: looking takes half of it at most
	return func() tea.Msg {
		pause(s.ctx, rest)
		s.bell.wait(s.ctx, screenEvery, screenClock)
		return mine
	}
}

// Update hears keys and looks.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case lookedMsg:
		return s, s.looked(m)
	case tickMsg:
		if int(m) == s.ticket && !s.paused {
			return s, s.lookNow()
		}
	case paidMsg:
		s.paid(m)
	case tea.KeyPressMsg:
		return s, s.key(m.String())
	}
	return s, nil
}

// looked takes in what a look has brought.
func (s *screen) looked(m lookedMsg) tea.Cmd {
	s.looking, s.took = false, m.took
	if m.err != nil {
		s.fail(m)
	} else {
		s.take(m.scene)
	}
	if s.now != nil && m.err == nil {
		if over, err := over(s.until, s.now.depths()); over {
			s.end = err
			return tea.Quit
		}
	}
	if s.paused {
		return nil
	}
	return s.lookSoon()
}

// fail notes that the node does not answer, and keeps on showing what was.
func (s *screen) fail(m lookedMsg) {
	if s.trouble == "" {
		s.since = m.at
		s.remember(event{m.at, badTone, "the node does not answer"})
	}
	s.trouble = rpc.Clean(m.err.Error())
	if since := m.at.Sub(s.since); since >= time.Second {
		s.trouble = "for " + span(since) + ": " + s.trouble
	}
}

// take makes a scene the one that is shown.
func (s *screen) take(now *scene) {
	if s.trouble != "" {
		s.trouble = ""
		s.remember(event{now.At, goodTone, "the node answers again"})
	}
	s.also, s.sent = s.also[s.sent:], 0
	before, picked := s.now, s.picked()
	s.now = now
	if before != nil {
		s.remember(news(before, now)...)
	}
	s.follow(now)
	stays := s.cursor > 0 || s.page == txPage // on its transaction, else on top
	s.cursor = max(0, min(s.cursor, len(now.Txs)-1))
	for i := range now.Txs {
		if stays && picked != nil && now.Txs[i].ID == picked.ID {
			s.cursor = i
		}
	}
}

// picked is the transaction under the cursor, nil if there is none.
func (s *screen) picked() *sceneTx {
	if s.now == nil || s.cursor >= len(s.now.Txs) {
		return nil
	}
	return &s.now.Txs[s.cursor]
}

// follow keeps the tracks of the transactions that are shown.
func (s *screen) follow(now *scene) {
	tracks := map[chain.Hash]*track{}
	for i := range now.Txs {
		tx := &now.Txs[i]
		t := s.tracks[tx.ID]
		if t == nil {
			t = &track{Since: now.At}
			t.note(tx, now.At) // it was there before we came
			for d := range t.Reached {
				if t.Reached[d] != nil {
					t.Reached[d] = &milestone{}
				}
			}
		} else if d, is := t.note(tx, now.At); is {
			s.remember(event{now.At, goodTone, "tx " + short(tx.ID) + ": " + t.Reached[d].words(d)})
		}
		tracks[tx.ID] = t
	}
	s.tracks = tracks
}

// remember adds to the event log.
func (s *screen) remember(list ...event) {
	for _, e := range list {
		s.events = append([]event{e}, s.events...)
	}
	s.events = s.events[:min(len(s.events), maxEvents)]
}

func (s *screen) paid(m paidMsg) {
	s.note = ""
	if m.err != nil {
		s.note = rpc.Clean(m.err.Error())
		return
	}
	s.also = append(s.also, m.id)
}

func (s *screen) key(k string) tea.Cmd {
	switch k {
	case "q", "ctrl+c":
		return tea.Quit
	case "esc":
		if s.page == mainPage {
			return tea.Quit
		}
		s.turn(mainPage)
	case "?":
		s.turn(helpPage)
	case "enter":
		s.turn(txPage)
	case "p", "space":
		return s.pauseOrPay(k)
	default:
		s.move(k)
	}
	return nil
}

// turn shows a page, or the main one again.
func (s *screen) turn(page int) {
	if s.page == page || page == txPage && s.picked() == nil {
		page = mainPage
	}
	s.page, s.pageScroll = page, 0
}

func (s *screen) pauseOrPay(k string) tea.Cmd {
	if k == "p" && s.pay != nil {
		s.note = "paying …"
		return s.pay
	}
	if s.paused = !s.paused; s.paused {
		return nil
	}
	return s.lookNow()
}

// move scrolls.
func (s *screen) move(k string) {
	by := 0
	switch k {
	case "up", "k":
		by = -1
	case "down", "j":
		by = 1
	case "pgup":
		by = -10
	case "pgdown":
		by = 10
	case "home", "g":
		by = -maxEvents
	case "end", "G":
		by = maxEvents
	case "left", "h":
		s.column = max(0, s.column-1)
	case "right", "l":
		s.column = min(s.column+1, s.columns()-1)
	case "tab":
		s.focus = (s.focus + 1) % panels
	case "shift+tab":
		s.focus = (s.focus + panels - 1) % panels
	}
	s.scrollBy(by)
}

// scrollBy moves what has the focus.
func (s *screen) scrollBy(by int) {
	switch {
	case by == 0 || s.now == nil:
	case s.page != mainPage:
		s.pageScroll = max(0, min(s.pageScroll+by, len(s.pageLines())-1))
	case s.focus == matrixPanel:
		s.cursor = max(0, min(s.cursor+by, len(s.now.Txs)-1))
	case s.focus == nodesPanel:
		s.scroll[nodesPanel] = max(0, min(s.scroll[nodesPanel]+by, len(s.now.Nodes)-1))
	default:
		s.scroll[eventsPanel] = max(0, min(s.scroll[eventsPanel]+by, len(s.events)-1))
	}
}

// columns are those that the matrix can be scrolled to.
func (s *screen) columns() int {
	if s.now == nil {
		return 1
	}
	return max(1, len(s.now.Nodes))
}

// View draws the whole screen.
func (s *screen) View() tea.View {
	v := tea.NewView(s.draw())
	v.AltScreen = true
	v.WindowTitle = "cairn " + s.title
	return v
}

// live shows what a looker sees until q is pressed, or until the depth that was
// asked for is reached.
func live(ctx context.Context, s *screen, options ...tea.ProgramOption) error {
	s.ctx = ctx
	options = append(options, tea.WithContext(ctx), tea.WithoutSignalHandler()) // the context ends on signals
	_, err := tea.NewProgram(s, options...).Run()
	if ctx.Err() != nil {
		return nil // whoever ended it says why
	}
	if err != nil {
		return err
	}
	return s.end
}
