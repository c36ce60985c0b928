package praktika

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const attempts = 8

// Client is Praktika's ingress, as one organisation. It is not safe for concurrent use.
type Client struct {
	URL, ID, Secret string

	http      http.Client
	token     string
	tokenEnds time.Time
}

// Answer is what became of one event: accepted if Problem is nil.
type Answer struct {
	ID      string   `json:"id"`
	Status  int      `json:"status"`
	Event   string   `json:"event"`
	Problem *Problem `json:"problem"`
}

// Problem says what to mend (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

// Publish sends one event or a batch of up to 1,000 and gives the answer to each.
func (c *Client) Publish(events []Event) ([]Answer, error) {
	kind, content := "-batch", any(events)
	if len(events) == 1 {
		kind, content = "", events[0]
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	status, said, err := c.sendEvents(kind, body)
	if err == nil && status == http.StatusUnauthorized {
		c.tokenEnds = time.Time{}
		status, said, err = c.sendEvents(kind, body)
	}
	if err != nil {
		return nil, err
	}
	return answers(events, status, said), nil
}

func answers(events []Event, status int, said []byte) []Answer {
	var batch struct{ Items []Answer }
	if json.Unmarshal(said, &batch) == nil && batch.Items != nil {
		return batch.Items
	}
	if status == http.StatusAccepted {
		answer := Answer{Status: status}
		json.Unmarshal(said, &answer)
		return []Answer{answer}
	}
	var problem Problem
	if json.Unmarshal(said, &problem) != nil {
		problem.Detail = string(said)
	}
	var all []Answer
	for _, event := range events {
		all = append(all, Answer{ID: event.ID, Status: status, Problem: &problem})
	}
	return all
}

func (c *Client) sendEvents(kind string, body []byte) (int, []byte, error) {
	token, err := c.bearer()
	if err != nil {
		return 0, nil, err
	}
	return c.send("/events", body, func(request *http.Request) {
		request.Header.Set("Content-Type", "application/cloudevents"+kind+"+json")
		request.Header.Set("Authorization", "Bearer "+token)
	})
}

// bearer gives a token with a minute left at least.
func (c *Client) bearer() (string, error) {
	if time.Until(c.tokenEnds) > time.Minute {
		return c.token, nil
	}
	status, said, err := c.send("/token", []byte("grant_type=client_credentials"), func(request *http.Request) {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(c.ID, c.Secret)
	})
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("no token: %d %s", status, said)
	}
	var given struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal(said, &given); err != nil {
		return "", err
	}
	c.token, c.tokenEnds = given.AccessToken, time.Now().Add(time.Duration(given.ExpiresIn)*time.Second)
	return c.token, nil
}

// send sends the same until it is answered with something else than "not now".
func (c *Client) send(path string, body []byte, head func(*http.Request)) (int, []byte, error) {
	var problem string
	for attempt := range attempts {
		pause := (0.5 + rand.Float64()/2) * float64(min(30, 1<<attempt))
		status, said, retryAfter, err := c.once(path, body, head)
		switch {
		case err != nil:
			problem = err.Error()
		case status != http.StatusTooManyRequests && status < 500:
			return status, said, nil
		default:
			problem = fmt.Sprintf("%d %s", status, said)
			if asked, err := strconv.ParseUint(retryAfter, 10, 12); err == nil {
				pause += float64(asked)
			}
		}
		if attempt < attempts-1 {
			time.Sleep(time.Duration(pause * float64(time.Second)))
		}
	}
	return 0, nil, fmt.Errorf("gave up after %d attempts, may be repeated: %s", attempts, problem)
}

func (c *Client) once(path string, body []byte, head func(*http.Request)) (int, []byte, string, error) {
	request, err := http.NewRequest(http.MethodPost, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	head(request)
	c.http.Timeout = 30 * time.Second
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, "", err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	return response.StatusCode, said, response.Header.Get("Retry-After"), err
}
